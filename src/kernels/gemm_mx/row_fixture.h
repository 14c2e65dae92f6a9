// What the tests of gemm_mx share: its rows, those of few machines once more emulated, and how
// one is run on a problem.
#pragma once

#include <gtest/gtest.h>

#include <iosfwd>
#include <string>
#include <vector>

#include "kernels/common/test_rows.h"
#include "kernels/gemm_mx/cpu/blocked.h"
#include "kernels/gemm_mx/test_problem.h"

namespace mxvideo::kernels {

extern const GemmMicroKernel kGemmMxAmxBf16Emulated;
extern const GemmMicroKernel kGemmMxint8AmxBf16Emulated;
extern const GemmMicroKernel kGemmMxAvx512Bf16Emulated;
extern const GemmMicroKernel kGemmMxint8Avx512Bf16Emulated;
extern const GemmMicroKernel kGemmMxAvx512Emulated;
extern const GemmMicroKernel kGemmMxAvx512VnniInt16Emulated;
extern const GemmMicroKernel kGemmMxAvxVnniInt16Emulated;
extern const GemmMicroKernel kGemmMxAvx512VnniFastEmulated;
extern const GemmMicroKernel kGemmMxint8Avx512VnniInt8Emulated;
extern const GemmMicroKernel kGemmMxint8Avx512VnniInt16Emulated;
extern const GemmMicroKernel kGemmMxint8AvxVnniInt16Emulated;

namespace test {

// What a row computes in; rows of a kind agree bit for bit, but for those in bf16, and so do int16
// and int8 on INT8.
enum class Kind { kReference, kFp32, kInt16, kInt8, kFast, kBf16 };

struct TestRow {
  std::string name;
  kernels::GemmMxRow row;
  Kind kind;
  int64_t highway_target = 0;  // 0: no Highway row

  bool takes(formats::MxElement element) const {
    const bool fp8_only = (kind == Kind::kFp32 && highway_target == 0) || kind == Kind::kFast;
    return element == formats::MxElement::kInt8 ? !fp8_only : kind != Kind::kInt8;
  }
};

void PrintTo(const TestRow& row, std::ostream* out);

// Whether the row does not take these arguments, or their values, where any product may be used.
bool refuses(const kernels::GemmMxRow& row, const GemmMxArgs& args);

// [rows, k] of the kind "gaussian", "heavy tails", "outlier channels" (a thousand times as large)
// or "spread scales" (neighbouring blocks 2^40 apart).
std::vector<float> characteristic_floats(const std::string& kind, int64_t rows, int64_t k,
                                         uint32_t seed);

// Those that take `element`.
std::vector<TestRow> test_rows(formats::MxElement element);

// The table's order for the emulated int16 kernel of `element`.
const GemmMicroKernel& emulated_int16(formats::MxElement element);

class GemmRowTest : public testing::TestWithParam<TestRow> {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Runs the row on `p`, which it must take; `args` may carry an epilogue.
  mxvideo::test::Guarded run(const Problem& p, GemmMxArgs args = {}) const;

  bool fast() const { return GetParam().kind == Kind::kFast; }
  // E4M3 elements become integers.
  bool integer() const { return GetParam().kind == Kind::kInt16 || fast(); }
  bool bf16() const { return GetParam().kind == Kind::kBf16; }
  // Takes weights only that are MxPanels::fills_scales.
  bool needs_filled_scales() const { return integer() || bf16(); }
  // By how much an element moves at most, in its block's scale.
  double rounding() const { return fast() ? 2 : integer() ? 0x1p-5 : 0; }
  // What a product, and a sum, below the smallest number that the row has loses at most.
  double smallest() const { return bf16() ? 0x1p-126 : 0x1p-150; }
  // The row adds exponents: blocks with smaller sums of scale bytes than least_scales() are zero.
  bool adds_exponents() const { return GetParam().name.starts_with("avx512_vnni"); }
  int least_scales() const { return !adds_exponents() ? 0 : fast() ? 124 : 136; }  // of E4M3

  // |y - exact| that the contract allows a row that moves elements by `rounding`.
  double bound(const Shape& shape, const ExactSum& sum, double rounding) const;

 private:
  int threads_ = 0;
};

void expect_same_bits(const mxvideo::test::Guarded& a, const mxvideo::test::Guarded& b);
bool same_bits(float a, float b);

// Every tail of a tile, of a panel and of a part of k, and more than one block of each.
std::vector<Shape> tail_shapes();

}  // namespace test
}  // namespace mxvideo::kernels
