#include "convert/read_ahead.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "convert/convert_test_support.h"
#include "support/test_support.h"

namespace mxvideo::convert {
namespace {

constexpr int64_t kTensorBytes = 20 << 20;  // more than one step of reading

class ReadAheadTest : public testing::Test {
 protected:
  ReadAheadTest() {
    const test::StoredBytes tensor{
        .dtype = DType::kU8, .shape = {kTensorBytes}, .bytes = std::string(kTensorBytes, 'x')};
    test::write_tensors(path_, {{"a", tensor}, {"b", tensor}});
    checkpoint_.emplace(checkpoint::Checkpoint::open_file(path_));
  }
  const checkpoint::StoredTensor* tensor(const char* name) const {
    return &checkpoint_->tensors().at(name);
  }

  mxvideo::test::TemporaryDirectory folder_;
  const std::filesystem::path path_ = folder_.path() / "model.safetensors";
  std::optional<checkpoint::Checkpoint> checkpoint_;
};

TEST_F(ReadAheadTest, GivesAllBytesInAnyParts) {
  ReadAhead reading({tensor("b"), tensor("a")});
  for (const int64_t part : {int64_t{1}, kTensorBytes - 1, kTensorBytes}) reading.next(part);
  EXPECT_EQ(static_cast<char>(tensor("a")->view.data[kTensorBytes - 1]), 'x');
}

TEST_F(ReadAheadTest, StopsWhenNobodyWaitsAnyMore) {
  ReadAhead reading({tensor("a"), tensor("b")});
  reading.next(1);
}

TEST_F(ReadAheadTest, ReportsAFileThatBecameShorter) {
  std::filesystem::resize_file(path_, kTensorBytes + kTensorBytes / 2);
  ReadAhead reading({tensor("a"), tensor("b")});
  reading.next(kTensorBytes);
  test::expect_error_with(Code::kIo, path_.string() + ": cannot read",
                          [&] { reading.next(kTensorBytes); });
}

}  // namespace
}  // namespace mxvideo::convert
