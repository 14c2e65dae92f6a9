// Which rows of x86-64 take a weight, and what they say of their noise.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/gemm_mx/cpu/mx_panels.h"
#include "kernels/gemm_mx/test_problem.h"

namespace mxvideo::kernels::test {
namespace {

// A block of 64 and of elements that move as far as any, to the next multiple of 2^-4.
TEST(GemmMxChoice, TellsTheRowAndABoundOfItsNoise) {
  constexpr double kMoved = 3 * 0x1p-5;
  Problem p({1, 33, 96});
  std::fill(p.w_codes.begin(), p.w_codes.end(), uint8_t{0x1c});
  for (size_t i = 0; i < p.w_codes.size(); i += kBlock) p.w_codes[i] = 0x68;
  ASSERT_EQ(e4m3_value(0x1c), kMoved);
  const MxPanels weight = p.packed();
  const double int16_noise = 31 * 0x1p-10 / (64 * 64 + 31 * kMoved * kMoved);
  Context context;
  const auto expect = [&](CpuFeatures cpu, const char* row, double lowest, double highest) {
    context.cpu = cpu;
    const GemmMxChoice choice = choose_gemm_mx(weight, context);
    EXPECT_STREQ(choice.row, row);
    EXPECT_GE(choice.noise, lowest) << row;
    EXPECT_LE(choice.noise, highest) << row;
  };
  constexpr CpuFeatures kVnni = kCpuAvx2 | kCpuAvx512 | kCpuAvx512Vnni;
  expect(kCpuAvx2, "avx2_int16", int16_noise, 1.01 * int16_noise);
  expect(kVnni | kCpuAmxBf16, "amx_bf16", 0, 0);
  expect(kVnni | kCpuAvx512Bf16 | kCpuFullRateBf16, "avx512_bf16", 0, 0);
  expect(kVnni | kCpuAvx512Bf16, "avx512_vnni_int16", int16_noise, 1.01 * int16_noise);
  expect(kVnni, "avx512_vnni_int16", int16_noise, 1.01 * int16_noise);  // too much for the fast row
  context.policy.compute = Compute::kFast;
  expect(kVnni, "avx512_vnni_fast", weight.fast_noise, weight.fast_noise);
  EXPECT_TRUE(context.choices().empty());
}

// INT8 elements are integers already.
TEST(GemmMxChoice, IntegerRowsAddNothingToInt8) {
  Context context;
  context.cpu = kCpuAvx2;
  const MxPanels weight = Problem::random_int8({1, 33, 96}, 24).packed();
  const GemmMxChoice choice = choose_gemm_mx(weight, context);
  EXPECT_STREQ(choice.row, "avx2_int16");
  EXPECT_EQ(choice.noise, 0);
}

}  // namespace
}  // namespace mxvideo::kernels::test
