#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/common/activation.h"
#include "kernels/common/test_rows.h"
#include "kernels/elementwise/elementwise.h"
#include "support/test_support.h"

namespace mxvideo::kernels {
namespace {

using test::Guarded;
using test::kUnit;

constexpr ElementwiseOp kOps[] = {ElementwiseOp::kSilu, ElementwiseOp::kGeluTanh,
                                  ElementwiseOp::kGeluTanhMultiply, ElementwiseOp::kAdd,
                                  ElementwiseOp::kScaledAdd};
constexpr float kAlpha = -1.7f;

// Expected values: silu and gelu(approximate='tanh') of torch.nn.functional in float64. Where tanh
// is near -1 that form of GELU loses digits itself: 2^-53 of x/2.
TEST(Elementwise, ActivationsEqualPyTorch) {
  const double x[] = {-6, -2.5, -1, -0.125, 0, 0.5, 1, 3.75, 20};
  const double silu[] = {
      -0.014835738939808647, -0.18964545005310887, -0.2689414213699951, -0.05859882832828047, 0.0,
      0.3112296656009273,    0.7310585786300049,   3.663834862837404,   19.999999958776925};
  const double gelu[] = {-8.43964897967453e-11,
                         -0.015084266089998577,
                         -0.1588080093917233,
                         -0.05628280137577661,
                         0.0,
                         0.34571400982514394,
                         0.8411919906082768,
                         3.7497807479275584,
                         20.0};
  for (size_t i = 0; i < std::size(x); ++i) {
    const double tolerance = 4 * 0x1p-53 * (1 + std::abs(x[i]));
    EXPECT_NEAR(silu_value(x[i]), silu[i], tolerance);
    EXPECT_NEAR(gelu_tanh_value(x[i]), gelu[i], tolerance);
  }
}

double exact(ElementwiseOp op, double x, double z) {
  switch (op) {
    case ElementwiseOp::kSilu:
      return silu_value(x);
    case ElementwiseOp::kGeluTanh:
      return gelu_tanh_value(x);
    case ElementwiseOp::kGeluTanhMultiply:
      return gelu_tanh_value(x) * z;
    case ElementwiseOp::kAdd:
      return x + z;
    case ElementwiseOp::kScaledAdd:
      return x + double{kAlpha} * z;
  }
  return 0;
}

// The bounds of activation-inl.h with two unfused operations; the last terms are subnormal steps.
double bound(ElementwiseOp op, double x, double z) {
  const double y = std::abs(exact(op, x, z));
  const double w = 1.5957691216057308 * (x + 0.044715 * x * x * x);
  const double gelu = (8 + 5 * std::abs(w) / (1 + std::exp(w))) * kUnit;
  const double clamp = 0x1p-126 * std::abs(x);
  switch (op) {
    case ElementwiseOp::kSilu:
      return 7 * kUnit * y + clamp + 0x1p-149;
    case ElementwiseOp::kGeluTanh:
      return gelu * y + clamp + 0x1p-149;
    case ElementwiseOp::kGeluTanhMultiply:
      return (gelu + kUnit) * y + (clamp + 0x1p-149) * std::abs(z) + 0x1p-149;
    case ElementwiseOp::kAdd:
      return kUnit * y;
    case ElementwiseOp::kScaledAdd:
      return kUnit * (y + std::abs(kAlpha * z)) + 0x1p-149;
  }
  return 0;
}

void check_op(ElementwiseOp op, std::span<const float> x, std::span<const float> z) {
  std::vector<double> expected;
  std::vector<double> bounds;
  for (size_t i = 0; i < x.size(); ++i) {
    expected.push_back(exact(op, x[i], z[i]));
    bounds.push_back(bound(op, x[i], z[i]));
  }
  const auto count = static_cast<int64_t>(x.size());
  for (const auto& row : host_rows(elementwise_rows())) {
    if (!test::require_cpu(row.requires_cpu, row.name)) continue;
    test::sweep(
        {"elementwise", row.name},
        [&](Context& context) {
          Guarded y(count);
          Guarded over_x{x};
          Guarded over_z{z};
          ElementwiseArgs call = {.op = op,
                                  .x = x.data(),
                                  .z = z.data(),
                                  .y = y.data(),
                                  .count = count,
                                  .alpha = kAlpha};
          elementwise(call, context);
          call.x = call.y = over_x.data();
          elementwise(call, context);
          call.x = x.data();
          call.z = call.y = over_z.data();
          elementwise(call, context);
          EXPECT_TRUE(y.intact() && over_x.intact() && over_z.intact());
          const auto values = y.values();
          EXPECT_TRUE(std::equal(values.begin(), values.end(), over_x.values().begin()));
          EXPECT_TRUE(std::equal(values.begin(), values.end(), over_z.values().begin()));
          return std::vector<float>(values.begin(), values.end());
        },
        [&](std::span<const float> y) { test::expect_within(y, expected, bounds); });
  }
}

TEST(Elementwise, RowsStayInsideTheBound) {
  for (const ElementwiseOp op : kOps) {
    SCOPED_TRACE(static_cast<int>(op));
    for (const int64_t count : {0, 1, 5, 31, 4096, 20011}) {
      const std::vector<float> z = test::random_floats(count, 3, 2);
      check_op(op, test::random_floats(count, 8, 1), z);
    }
  }
}

// Every magnitude of float, both signs: one value in 16,001 of all bit patterns, infinity excluded.
TEST(Elementwise, ActivationsStayInsideTheBoundOnTheWholeRange) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < 0x7f800000u; bits += 16001) {
    for (const uint32_t sign : {0u, 0x80000000u}) {
      const float value = std::bit_cast<float>(static_cast<uint32_t>(bits) | sign);
      if (std::abs(value) < 1e12f) x.push_back(value);  // x³ stays finite
    }
  }
  const std::vector<float> z(x.size(), 1.0f);
  check_op(ElementwiseOp::kSilu, x, z);
  check_op(ElementwiseOp::kGeluTanh, x, z);
}

TEST(Elementwise, NanStaysNan) {
  const std::vector<float> x(19, std::numeric_limits<float>::quiet_NaN());
  const std::vector<float> z(19, 1.0f);
  for (const ElementwiseOp op : kOps) {
    test::sweep(
        {"elementwise", "highway"},
        [&](Context& context) {
          std::vector<float> y(19);
          elementwise({.op = op, .x = x.data(), .z = z.data(), .y = y.data(), .count = 19},
                      context);
          for (float& value : y) {
            EXPECT_TRUE(std::isnan(value)) << static_cast<int>(op);
            value = 0;  // payloads may differ
          }
          return y;
        },
        [](std::span<const float>) {});
  }
}

}  // namespace
}  // namespace mxvideo::kernels
