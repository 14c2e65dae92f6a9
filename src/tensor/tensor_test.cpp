#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "base/error.h"

namespace mxvideo {
namespace {

TEST(DType, NamesAndSizesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(DType::kF8E8M0); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(parse_dtype(dtype_name(dtype)), dtype);
  }
  EXPECT_EQ(dtype_size(DType::kBF16), 2);
  EXPECT_EQ(parse_dtype("F9"), std::nullopt);
}

TEST(Shape, CountsAndRefusesNonsense) {
  EXPECT_EQ(Shape({2, 3, 5}).count(), 30);
  EXPECT_EQ(Shape{}.count(), 1);
  EXPECT_EQ(Shape({4, 0}).count(), 0);
  EXPECT_EQ(Shape({5120, 160}).to_string(), "[5120, 160]");
  EXPECT_THROW(Shape({-1}), Error);
  EXPECT_THROW(Shape({1, 1, 1, 1, 1, 1, 1, 1, 1}), Error);
  EXPECT_THROW(Shape({INT64_MAX, 2}).count(), Error);
}

TEST(Tensor, OwnsReshapesAndClones) {
  Tensor tensor = Tensor::from_values({2, 3}, std::array<float, 6>{1, 2, 3, 4, 5, 6});
  const Tensor copy = tensor.clone();
  tensor.reshape({3, 2});
  tensor.f32()[0] = 9;
  EXPECT_EQ(copy.f32()[0], 1);
  EXPECT_EQ(tensor.dim(0), 3);
  EXPECT_THROW(tensor.reshape({5}), Error);
}

TEST(Tensor, ReturnsItsMemory) {
  const int64_t before = cpu_device().allocated_bytes();
  {
    const Tensor tensor(DType::kF32, {1000});
    EXPECT_EQ(cpu_device().allocated_bytes() - before, 4000);
  }
  EXPECT_EQ(cpu_device().allocated_bytes(), before);
}

TEST(ConvertToF32, ReadsUnalignedHalvesAndRefusesOthers) {
  const std::array<unsigned char, 5> bytes = {0xff, 0x80, 0x3f, 0x00, 0xc0};  // 1.0, -2.0 in BF16
  const TensorView view{.data = reinterpret_cast<const std::byte*>(bytes.data() + 1),
                        .dtype = DType::kBF16,
                        .shape = {2}};
  const Tensor floats = to_f32(view);
  EXPECT_EQ(floats.f32()[0], 1.0f);
  EXPECT_EQ(floats.f32()[1], -2.0f);
  EXPECT_THROW(to_f32(Tensor(DType::kU8, {4})), Error);
}

}  // namespace
}  // namespace mxvideo
