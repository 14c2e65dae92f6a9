// Vectors: FIPS 180-4 examples, as published by NIST (csrc.nist.gov, SHA256.pdf and
// SHA2_Additional).
#include "base/sha256.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "base/file/atomic_file.h"
#include "support/test_support.h"

namespace mxvideo {
namespace {

std::string hash(std::string_view text) {
  Sha256 state;
  state.update(std::as_bytes(std::span(text)));
  return state.hex_digest();
}

constexpr std::string_view kMillionA =
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Sha256, AgreesWithTheVectorsOfNist) {
  EXPECT_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash(std::string(1'000'000, 'a')), kMillionA);
}

TEST(Sha256, DoesNotDependOnHowTheBytesArrive) {
  const std::string text(1'000'000, 'a');
  Sha256 state;
  for (size_t begin = 0, step = 1; begin < text.size(); begin += step, step = step * 3 % 1009) {
    state.update(
        std::as_bytes(std::span(text).subspan(begin, std::min(step, text.size() - begin))));
  }
  EXPECT_EQ(state.hex_digest(), kMillionA);
}

TEST(Sha256, TakesNothingAfterTheDigest) {
  Sha256 state;
  state.hex_digest();
  EXPECT_EQ(test::expect_error([&] { state.hex_digest(); }).code(), Code::kInternal);
  EXPECT_EQ(test::expect_error([&] { state.update({}); }).code(), Code::kInternal);
}

TEST(Sha256, HashesFiles) {
  const test::TemporaryDirectory directory;
  // Longer than one piece of reading: a million, and a bit, twice.
  const std::string text(2'200'000, 'b');
  write_file_atomically(directory.path() / "x", text);
  EXPECT_EQ(sha256_file(directory.path() / "x"), hash(text));
  write_file_atomically(directory.path() / "million", std::string(1'000'000, 'a'));
  EXPECT_EQ(sha256_file(directory.path() / "million"), kMillionA);
  EXPECT_EQ(test::expect_error([&] { sha256_file(directory.path() / "absent"); }).code(),
            Code::kNotFound);
  EXPECT_EQ(test::expect_error([&] { sha256_file(directory.path()); }).code(), Code::kIo);
}

}  // namespace
}  // namespace mxvideo
