#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "formats/half.h"
#include "kernels/common/activation.h"
#include "kernels/common/test_rows.h"
#include "kernels/matmul/matmul.h"
#include "kernels/matmul/rows.h"
#include "support/test_support.h"

namespace mxvideo::kernels {
namespace {

using test::Guarded;
using test::kUnit;

// Expected values: torch.nn.functional.linear in float64, gelu(approximate='tanh') of it, and
// residual + gate[[1, 0]] · linear.
TEST(Matmul, ReferenceEqualsPyTorch) {
  const float x[] = {1, -2, 0.5f, 3, 0.25f, -1};
  const float weight[] = {0.5f, 1, 2, -1.5f, 0.125f, 4};
  const float bias[] = {0.5f, -0.25f};
  const float residual[] = {1, 2, 3, 4};
  const float gate[] = {2, -1, 0.5f, 0.25f};
  const int32_t gate_row[] = {1, 0};
  std::vector<float> y(4);
  Context context;
  context.policy.forced_rows["matmul"] = "reference";
  MatmulArgs args = {.x = x,
                     .weight = reinterpret_cast<const std::byte*>(weight),
                     .y = y.data(),
                     .m = 2,
                     .n = 2,
                     .k = 3,
                     .epilogue = {.bias = bias}};
  matmul(args, context);
  EXPECT_EQ(y, (std::vector<float>{0, 0, 0.25f, -8.71875f}));
  args.epilogue.kind = Epilogue::kGeluTanh;
  matmul(args, context);
  EXPECT_EQ(y[2], 0.149675350701685f);
  EXPECT_NEAR(y[3], 0, 0x1p-53 * 8.71875);  // PyTorch's form cancels to -0.0; exact: -2.3e-26
  args.epilogue = {.kind = Epilogue::kGatedResidual,
                   .bias = bias,
                   .residual = residual,
                   .gate = gate,
                   .gate_stride = 2,
                   .gate_row = gate_row};
  matmul(args, context);
  EXPECT_EQ(y, (std::vector<float>{1, 2, 3.5f, 12.71875f}));
}

// A product with everything that its shape and epilogue need, weights stored at an odd address.
struct Problem {
  int64_t m, n, k;
  DType dtype;
  Epilogue epilogue;
  int64_t x_stride = 0, y_stride = 0;  // as in MatmulArgs
  bool integers = false;               // small integers only: every sum is exact

  std::vector<float> x = {}, weight = {}, bias = {}, residual = {}, gate = {};  // `weight` decoded
  std::vector<std::byte> stored = {};
  std::vector<int32_t> gate_row = {};

  void fill();
  int64_t x_row() const { return x_stride == 0 ? k : x_stride; }
  int64_t y_row() const { return y_stride == 0 ? n : y_stride; }
  MatmulArgs args() const;
};

void Problem::fill() {
  x = test::random_floats(m * x_row(), 2, 1);
  weight = test::random_floats(n * k, 1, 2);
  bias = test::random_floats(n, 1, 3);
  residual = test::random_floats(m * y_row(), 3, 4);
  gate = test::random_floats(3 * n, 1, 5);
  for (int64_t i = 0; i < m; ++i) gate_row.push_back(static_cast<int32_t>(i * 5 % 3));
  if (integers) {
    for (std::vector<float>* values : {&x, &weight, &bias, &residual, &gate}) {
      for (float& value : *values) value = std::nearbyint(4 * value);
    }
  }
  const int64_t size = dtype_size(dtype);
  stored.resize(weight.size() * size + 1);
  for (size_t i = 0; i < weight.size(); ++i) {
    std::byte* place = stored.data() + 1 + i * size;
    if (dtype == DType::kF32) {
      std::memcpy(place, &weight[i], 4);
      continue;
    }
    const bool bf16 = dtype == DType::kBF16;
    const uint16_t bits = bf16 ? formats::encode_bf16(weight[i]) : formats::encode_fp16(weight[i]);
    weight[i] = bf16 ? formats::decode_bf16(bits) : formats::decode_fp16(bits);
    std::memcpy(place, &bits, 2);
  }
}

MatmulArgs Problem::args() const {
  return {.x = x.data(),
          .x_stride = x_stride,
          .weight = stored.data() + 1,
          .weight_dtype = dtype,
          .y_stride = y_stride,
          .m = m,
          .n = n,
          .k = k,
          .epilogue = {.kind = epilogue,
                       .bias = bias.data(),
                       .residual = residual.data(),
                       .gate = gate.data(),
                       .gate_stride = n,
                       .gate_row = gate_row.data()}};
}

// Elements [m, n] in double and the bound of matmul.h with the roundings of the epilogue.
void exact_product(const Problem& p, std::vector<double>& values, std::vector<double>& bounds) {
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      double sum = 0;
      double magnitude = 0;
      for (int64_t t = 0; t < p.k; ++t) {
        const double product = double{p.x[i * p.x_row() + t]} * p.weight[j * p.k + t];
        sum += product;
        magnitude += std::abs(product);
      }
      double value = sum + p.bias[j];
      double error = static_cast<double>(p.k + 2) * kUnit * magnitude + kUnit * std::abs(value);
      if (p.epilogue == Epilogue::kGeluTanh) {
        const double w = 1.5957691216057308 * (value + 0.044715 * value * value * value);
        value = gelu_tanh_value(value);
        // |gelu'| < 1.13; then the bound of activation-inl.h with two unfused operations.
        error = 1.13 * error + (8 + 5 * std::abs(w) / (1 + std::exp(w))) * kUnit * std::abs(value);
      } else if (p.epilogue == Epilogue::kGatedResidual) {
        const double gated = p.gate[p.gate_row[i] * p.n + j] * value;
        error = std::abs(p.gate[p.gate_row[i] * p.n + j]) * error + kUnit * std::abs(gated);
        value = p.residual[i * p.y_row() + j] + gated;
        error += kUnit * std::abs(value);
      }
      values.push_back(value);
      bounds.push_back(p.integers && p.epilogue != Epilogue::kGeluTanh ? 0 : 1.05 * error + 1e-37);
    }
  }
}

// Runs one row into an array that starts as the residual, so that kGatedResidual works in place.
std::vector<float> run(const Problem& p, Context& context) {
  Guarded y{std::span<const float>(p.residual)};
  MatmulArgs args = p.args();
  args.y = y.data();
  args.epilogue.residual = y.data();
  matmul(args, context);
  EXPECT_TRUE(y.intact());
  std::vector<float> dense;
  for (int64_t i = 0; i < p.m; ++i) {
    const float* row = y.data() + i * p.y_row();
    dense.insert(dense.end(), row, row + p.n);
    for (int64_t j = p.n; j < p.y_row(); ++j) EXPECT_EQ(row[j], p.residual[i * p.y_row() + j]);
  }
  return dense;
}

class MatmulRows : public testing::TestWithParam<Problem> {};

TEST_P(MatmulRows, StayInsideTheBound) {
  Problem p = GetParam();
  p.fill();
  std::vector<double> expected;
  std::vector<double> bounds;
  exact_product(p, expected, bounds);
  int run_rows = 0;
  for (const auto& row : host_rows(matmul_rows())) {
    if (!test::require_cpu(row.requires_cpu, row.name)) continue;
    if (row.reject(p.args(), {}) != nullptr) continue;
    ++run_rows;
    test::sweep(
        {"matmul", row.name}, [&](Context& context) { return run(p, context); },
        [&](std::span<const float> y) { test::expect_within(y, expected, bounds); });
  }
  EXPECT_EQ(run_rows, p.m <= 4 ? 3 : 2);
}

constexpr auto kNone = Epilogue::kNone;
constexpr auto kGelu = Epilogue::kGeluTanh;
constexpr auto kGated = Epilogue::kGatedResidual;
INSTANTIATE_TEST_SUITE_P(Shapes, MatmulRows,
                         testing::Values(Problem{1, 1, 1, DType::kF32, kNone},
                                         Problem{1, 300, 77, DType::kBF16, kNone},
                                         Problem{2, 33, 1100, DType::kF16, kGelu},
                                         Problem{3, 129, 64, DType::kF32, kGated},
                                         Problem{4, 5, 31, DType::kF16, kGated},
                                         Problem{5, 7, 3, DType::kBF16, kGelu},
                                         Problem{37, 130, 520, DType::kF32, kGelu, 531, 140},
                                         Problem{259, 260, 65, DType::kBF16, kGated, 70, 263},
                                         Problem{300, 40, 1040, DType::kF16, kNone, 0, 0},
                                         // Exact sums: one wrong, missing or doubled element shows.
                                         Problem{2, 131, 70, DType::kF16, kGated, 0, 0, true},
                                         Problem{258, 131, 530, DType::kBF16, kGated, 0, 0, true},
                                         Problem{300, 257, 33, DType::kF32, kNone, 40, 260, true}));

TEST(Matmul, MatvecRefusesManyRows) {
  EXPECT_EQ(matvec_reject({.m = kMatvecRows}, {}), nullptr);
  EXPECT_NE(matvec_reject({.m = kMatvecRows + 1}, {}), nullptr);
}

// All 65,536 codes of both 16-bit types against formats/, at an odd address.
TEST(Matmul, DecodesEveryCode) {
  std::vector<std::byte> stored(2 * 65536 + 1);
  for (size_t code = 0; code < 65536; ++code) {
    const auto bits = static_cast<uint16_t>(code);
    std::memcpy(stored.data() + 1 + 2 * code, &bits, 2);
  }
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    test::sweep(
        {"matmul", "onednn"},
        [&](Context&) {
          std::vector<float> values(65536);
          decode_weights(stored.data() + 1, dtype, 65536, values.data());
          return values;
        },
        [&](std::span<const float> values) {
          for (uint32_t code = 0; code < 65536; ++code) {
            const auto bits = static_cast<uint16_t>(code);
            const float expected =
                dtype == DType::kBF16 ? formats::decode_bf16(bits) : formats::decode_fp16(bits);
            ASSERT_EQ(std::bit_cast<uint32_t>(values[code]), std::bit_cast<uint32_t>(expected))
                << dtype_name(dtype) << " code " << code;
          }
        });
  }
}

}  // namespace
}  // namespace mxvideo::kernels
