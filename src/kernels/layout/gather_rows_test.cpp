#include "kernels/layout/gather_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/common/test_rows.h"
#include "support/test_support.h"

namespace mxvideo::kernels {
namespace {

using test::Guarded;

void expect_rows(GatherRowsArgs args, const std::vector<float>& expected) {
  test::sweep(
      {"gather_rows", "reference"},
      [&](Context& context) {
        Guarded y(static_cast<int64_t>(expected.size()));
        args.y = y.data();
        gather_rows(args, context);
        EXPECT_TRUE(y.intact());
        return std::vector<float>(y.values().begin(), y.values().end());
      },
      [&](std::span<const float> y) {
        EXPECT_EQ(std::vector<float>(y.begin(), y.end()), expected);
      });
}

template <class T>
const std::byte* bytes_of(const std::vector<T>& values) {
  return reinterpret_cast<const std::byte*>(values.data());
}

TEST(GatherRows, TakesRowsByNumber) {
  const std::vector<float> table = {0, 1, 10, 11, 20, 21};
  expect_rows({.table = bytes_of(table), .width = 2, .ids = {2, 0, 2, 1}, .row_stride = 2},
              {20, 21, 0, 1, 20, 21, 10, 11});
}

// As biases of [buckets, heads] become [heads, distances].
TEST(GatherRows, WritesATranspose) {
  const std::vector<float> table = {0, 1, 10, 11, 20, 21};
  expect_rows(
      {.table = bytes_of(table), .width = 2, .ids = {2, 0, 1}, .row_stride = 1, .column_stride = 3},
      {20, 0, 10, 21, 1, 11});
}

// Codes of IEEE 754-2019, table 3.5, and of bfloat16, the upper half of a float.
TEST(GatherRows, DecodesHalves) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<uint16_t> fp16 = {0, 0, 0x3c00, 0xc000, 0x0001, 0xfc00, 0x7bff, 0x3555};
  expect_rows(
      {.table = bytes_of(fp16), .dtype = DType::kF16, .width = 4, .ids = {1, 0}, .row_stride = 4},
      {0x1p-24f, -infinity, 65504, 0.333251953125f, 0, 0, 1, -2});
  const std::vector<uint16_t> bf16 = {0x3f80, 0xc000, 0x3eab, 0x0001, 0x7f80, 0x7f7f};
  expect_rows(
      {.table = bytes_of(bf16), .dtype = DType::kBF16, .width = 3, .ids = {0, 1}, .row_stride = 3},
      {1, -2, 0.333984375f, 0x1p-133f, infinity, 0x1.fep127f});
}

TEST(GatherRows, SharesManyRows) {
  const int64_t rows = 301, width = 97;
  const std::vector<float> table = test::random_floats(rows * width, 3, 1);
  std::vector<int32_t> ids;
  std::vector<float> expected;
  for (int64_t i = 0; i < 500; ++i) {
    ids.push_back(static_cast<int32_t>(i * 37 % rows));
    const auto row = table.begin() + ids.back() * width;
    expected.insert(expected.end(), row, row + width);
  }
  expect_rows({.table = bytes_of(table), .width = width, .ids = ids, .row_stride = width},
              expected);
}

TEST(GatherRows, RefusesOtherTypes) {
  Context context;
  const Error error =
      test::expect_error([&] { gather_rows({.dtype = DType::kI64, .width = 1}, context); });
  EXPECT_EQ(error.code(), Code::kUnsupported);
  EXPECT_STREQ(error.what(), "cannot gather rows of I64; expected F32, F16 or BF16");
}

}  // namespace
}  // namespace mxvideo::kernels
