#include "base/text/byte_size.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mxvideo {
namespace {

TEST(ByteSize, ReadsDecimalAndBinaryUnits) {
  EXPECT_EQ(parse_byte_size("5GB"), 5'000'000'000);
  EXPECT_EQ(parse_byte_size("500 mb"), 500'000'000);
  EXPECT_EQ(parse_byte_size("64KiB"), 65536);
  EXPECT_EQ(parse_byte_size("7"), 7);
  for (const char* bad : {"", "0", "-1GB", "5G B x", "GB", "1.5GB", "5 parsecs",
                          "99999999999999999999", "9999999999TB"}) {
    EXPECT_THROW(parse_byte_size(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace mxvideo
