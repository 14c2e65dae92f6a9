#include "kernels/gemm_mx/row_fixture.h"

#include <hwy/targets.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <ostream>
#include <random>

#include "base/parallel.h"
#include "support/highway_targets.h"
#include "support/test_support.h"

namespace mxvideo::kernels::test {
namespace {

using formats::MxElement;
using mxvideo::test::Guarded;
using mxvideo::test::use_every_highway_target;
using mxvideo::test::use_highway_target;

template <const GemmMicroKernel& kernel>
void run_kernel(const GemmMxCall& args) noexcept {
  run_gemm_mx_blocked(args, kernel);
}

template <const GemmMicroKernel& e4m3, const GemmMicroKernel& int8>
void run_both(const GemmMxCall& args) noexcept {
  run_gemm_mx_blocked(args, args.weight->element == MxElement::kInt8 ? int8 : e4m3);
}

Kind kind_of(const std::string& name) {
  if (name == "reference") return Kind::kReference;
  if (name.ends_with("_int16")) return Kind::kInt16;
  if (name.ends_with("_fast")) return Kind::kFast;
  if (name.ends_with("_bf16")) return Kind::kBf16;
  return name.ends_with("_int8") ? Kind::kInt8 : Kind::kFp32;
}

std::vector<TestRow> all_rows() {
  std::vector<TestRow> rows;
  for (const kernels::GemmMxRow& row : host_rows(gemm_mx_rows())) {
    if (std::string_view(row.name) != "highway") {
      rows.push_back({row.name, row, kind_of(row.name)});
      continue;
    }
    for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
      rows.push_back(
          {row.name + std::string("_") + hwy::TargetName(target), row, Kind::kFp32, target});
    }
  }
  const kernels::GemmMxRow emulated[] = {
      {"amx_bf16", kCpuNone, reject_gemm_mx_int16,
       run_both<kGemmMxAmxBf16Emulated, kGemmMxint8AmxBf16Emulated>, decline_gemm_mx_tiny},
      {"avx512_bf16", kCpuNone, reject_gemm_mx_int16,
       run_both<kGemmMxAvx512Bf16Emulated, kGemmMxint8Avx512Bf16Emulated>, decline_gemm_mx_tiny},
      {"avx512", kCpuNone, reject_gemm_mx_fp32, run_kernel<kGemmMxAvx512Emulated>,
       decline_gemm_mx_overflow},
      {"avx512_vnni_int16", kCpuNone, reject_gemm_mx_int16,
       run_both<kGemmMxAvx512VnniInt16Emulated, kGemmMxint8Avx512VnniInt16Emulated>,
       decline_gemm_mx_overflow},
      {"avx_vnni_int16", kCpuNone, reject_gemm_mx_int16,
       run_both<kGemmMxAvxVnniInt16Emulated, kGemmMxint8AvxVnniInt16Emulated>,
       decline_gemm_mx_overflow},
      {"avx512_vnni_fast", kCpuNone, reject_gemm_mx_fast, run_kernel<kGemmMxAvx512VnniFastEmulated>,
       decline_gemm_mx_overflow},
      {"avx512_vnni_int8", kCpuNone, reject_gemm_mx_int8,
       run_kernel<kGemmMxint8Avx512VnniInt8Emulated>, decline_gemm_mx_overflow},
  };
  for (const kernels::GemmMxRow& row : emulated) {
    rows.push_back({std::string(row.name) + "_emulated", row, kind_of(row.name)});
  }
  return rows;
}

}  // namespace

std::vector<float> characteristic_floats(const std::string& kind, int64_t rows, int64_t k,
                                         uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(rows * k));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = normal(random);
    if (kind == "heavy tails") values[i] /= std::sqrt(std::fabs(normal(random)) + 1e-3f);
    // Massive activations: every 37th channel a thousand times as large.
    if (kind == "outlier channels" && static_cast<int64_t>(i) % k % 37 == 5) values[i] *= 1000;
    // Neighbouring blocks 2^40 apart.
    if (kind == "spread scales") values[i] *= i / kBlock % 2 == 0 ? 0x1p20f : 0x1p-20f;
  }
  return values;
}

void PrintTo(const TestRow& row, std::ostream* out) { *out << row.name; }

bool refuses(const kernels::GemmMxRow& row, const GemmMxArgs& args) {
  return row.reject(args, {.compute = Compute::kFast}) != nullptr ||
         (row.decline != nullptr && row.decline(args) != nullptr);
}

std::vector<TestRow> test_rows(MxElement element) {
  std::vector<TestRow> rows = all_rows();
  std::erase_if(rows, [&](const TestRow& row) { return !row.takes(element); });
  return rows;
}

const GemmMicroKernel& emulated_int16(MxElement element) {
  return element == MxElement::kInt8 ? kGemmMxint8Avx512VnniInt16Emulated
                                     : kGemmMxAvx512VnniInt16Emulated;
}

void GemmRowTest::SetUp() {
  threads_ = num_threads();
  if (GetParam().highway_target != 0) use_highway_target(GetParam().highway_target);
  const char* test = testing::UnitTest::GetInstance()->current_test_info()->name();
  if (!mxvideo::test::require_cpu(GetParam().row.requires_cpu, std::string("gemm_mx ") + test)) {
    GTEST_SKIP();
  }
}

void GemmRowTest::TearDown() {
  set_num_threads(threads_);
  use_every_highway_target();
}

Guarded GemmRowTest::run(const Problem& p, GemmMxArgs args) const {
  const MxPanels weight = p.packed();
  Guarded y(p.shape().m * p.shape().n);
  args.x_codes = p.x_codes.data();
  args.x_scales = p.x_scales.data();
  args.weight = &weight;
  args.y = y.data();
  args.m = p.shape().m;
  if (args.epilogue.residual_stride == 0) args.epilogue.residual_stride = p.shape().n;
  EXPECT_FALSE(refuses(GetParam().row, args));
  GetParam().row.run({args});
  EXPECT_TRUE(y.intact());
  return y;
}

double GemmRowTest::bound(const Shape& shape, const ExactSum& sum, double rounding) const {
  const auto k = static_cast<double>(shape.k);
  const double added = 2 * (k + 8) * 0x1p-24 * sum.magnitude + 2 * k * smallest();
  const double moved = rounding * sum.moved + rounding * rounding * sum.moved_twice;
  return added + (1 + k * 0x1p-24) * moved + (adds_exponents() ? sum.tiny : 0);
}

bool same_bits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

void expect_same_bits(const Guarded& a, const Guarded& b) {
  ASSERT_EQ(a.count(), b.count());
  for (int64_t i = 0; i < a.count(); ++i) {
    ASSERT_TRUE(same_bits(a[i], b[i])) << "at " << i << ": " << a[i] << " and " << b[i];
  }
}

std::vector<Shape> tail_shapes() {
  std::vector<Shape> shapes;
  for (const int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 24, 25}) {
    for (const int64_t n : {1, 7, 31, 32, 33, 64, 65}) {
      for (const int64_t k : {32, 96, 160, 256, 288}) shapes.push_back({m, n, k});
    }
  }
  for (int64_t m = 9; m <= 23; ++m) shapes.push_back({m, 40, 64});
  for (int64_t n = 2; n <= 64; ++n) shapes.push_back({3, n, 32});
  for (int64_t k = 32; k <= 544; k += 32) shapes.push_back({5, 37, k});
  shapes.push_back({197, 33, 288});  // more than one block of rows
  shapes.push_back({5, 545, 544});
  shapes.push_back({3, 1057, 96});  // more than one block of columns
  shapes.push_back({385, 520, 32});
  return shapes;
}

}  // namespace mxvideo::kernels::test
