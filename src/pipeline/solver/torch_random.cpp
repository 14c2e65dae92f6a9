#include "pipeline/solver/torch_random.h"

#include <array>
#include <bit>
#include <cmath>
#include <numbers>

#include "base/parallel.h"

namespace mxvideo::pipeline {
namespace {

constexpr int64_t kGroup = 16;           // values that one Box-Muller group makes
constexpr int64_t kHalf = kGroup / 2;    // the first half gives radii, the second angles
constexpr int64_t kGroupsPerTask = 256;  // grain of the parallel loop

// Natural logarithm of a normal x > 0. Cephes logf: reduce to [sqrt(1/2), sqrt(2)), polynomial.
float log_polynomial(float x) {
  constexpr std::array<float, 9> kCoefficients = {
      7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,  -1.2420140846e-1f, 1.4249322787e-1f,
      -1.6668057665e-1f, 2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
  constexpr float kSqrtHalf = 0.707106781186547524f;
  constexpr float kLn2Low = -2.12194440e-4f;  // ln 2 = kLn2High + kLn2Low
  constexpr float kLn2High = 0.693359375f;

  const auto bits = std::bit_cast<uint32_t>(x);
  float exponent = static_cast<float>(static_cast<int32_t>(bits >> 23) - 127) + 1.0f;
  float fraction = std::bit_cast<float>((bits & 0x007fffffu) | 0x3f000000u);  // in [0.5, 1)
  const bool below = fraction < kSqrtHalf;
  const float doubled = below ? fraction : 0.0f;
  fraction = fraction - 1.0f + doubled;
  if (below) exponent -= 1.0f;

  const float square = fraction * fraction;
  float y = kCoefficients[0];
  for (size_t i = 1; i < kCoefficients.size(); ++i) y = std::fma(y, fraction, kCoefficients[i]);
  y = std::fma(y * fraction, square, exponent * kLn2Low);
  y = std::fma(square, -0.5f, y);
  return std::fma(exponent, kLn2High, fraction + y);
}

struct SineCosine {
  float sine;
  float cosine;
};

// x in [0, 2*pi]. Cephes sinf and cosf: reduce by multiples of pi/4 in three parts, polynomials.
SineCosine sine_cosine_polynomial(float x) {
  constexpr float kFourOverPi = 1.27323954473516f;
  constexpr float kPi4High = 0.78515625f;
  constexpr float kPi4Middle = 2.4187564849853515625e-4f;
  constexpr float kPi4Low = 3.77489497744594108e-8f;

  const uint32_t octant = (static_cast<uint32_t>(x * kFourOverPi) + 1u) & ~1u;
  const float multiple = static_cast<float>(octant);
  x = std::fma(multiple, -kPi4High, x);
  x = std::fma(multiple, -kPi4Middle, x);
  x = std::fma(multiple, -kPi4Low, x);

  const float square = x * x;
  float cosine = 2.443315711809948e-5f;
  cosine = std::fma(cosine, square, -1.388731625493765e-3f);
  cosine = std::fma(cosine, square, 4.166664568298827e-2f);
  cosine = std::fma(cosine * square, square, square * -0.5f) + 1.0f;
  float sine = -1.9515295891e-4f;
  sine = std::fma(sine, square, 8.3321608736e-3f);
  sine = std::fma(sine, square, -1.6666654611e-1f);
  sine = std::fma(sine * square, x, x);

  const bool swap = (octant & 2u) != 0;
  const bool negative_sine = (octant & 4u) != 0;
  const bool negative_cosine = ((octant - 2u) & 4u) == 0;
  const float s = swap ? cosine : sine;
  const float c = swap ? sine : cosine;
  return {negative_sine ? -s : s, negative_cosine ? -c : c};
}

// Turns kGroup uniforms of [0, 1) into normals.
void box_muller_group(float* values) {
  constexpr float kTwoPi = static_cast<float>(2.0 * std::numbers::pi);
  for (int64_t i = 0; i < kHalf; ++i) {
    const float radius = std::sqrt(-2.0f * log_polynomial(1.0f - values[i]));
    const SineCosine angle = sine_cosine_polynomial(kTwoPi * values[i + kHalf]);
    // Adding the mean, 0, turns -0 into +0.
    values[i] = radius * angle.cosine + 0.0f;
    values[i + kHalf] = radius * angle.sine + 0.0f;
  }
}

}  // namespace

TorchGenerator::TorchGenerator(uint64_t seed) : engine_(static_cast<uint32_t>(seed)) {}

void TorchGenerator::fill_normal(std::span<float> values) {
  if (static_cast<int64_t>(values.size()) >= kGroup) {
    fill_normal_groups(values);
    return;
  }
  for (float& value : values) value = static_cast<float>(next_normal());
}

Tensor TorchGenerator::randn(const Shape& shape) {
  Tensor tensor(DType::kF32, shape);
  fill_normal({tensor.f32(), static_cast<size_t>(tensor.count())});
  return tensor;
}

void TorchGenerator::fill_uniform(std::span<float> values) {
  constexpr uint32_t kMask = (1u << 24) - 1;
  for (float& value : values) value = static_cast<float>(engine_() & kMask) * 0x1p-24f;
}

void TorchGenerator::fill_normal_groups(std::span<float> values) {
  const auto count = static_cast<int64_t>(values.size());
  fill_uniform(values);
  parallel_for(count / kGroup, kGroupsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      box_muller_group(values.data() + group * kGroup);
    }
  });
  if (count % kGroup == 0) return;
  // The last 16 values are drawn anew, those that were finished already included.
  const std::span<float> tail = values.last(kGroup);
  fill_uniform(tail);
  box_muller_group(tail.data());
}

double TorchGenerator::next_double() {
  const uint64_t high = engine_();
  const uint64_t bits = (high << 32) | engine_();
  return static_cast<double>(bits & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
}

double TorchGenerator::next_normal() {
  if (pending_normal_.has_value()) {
    const double value = *pending_normal_;
    pending_normal_.reset();
    return value;
  }
  const double u1 = next_double();
  const double u2 = next_double();
  const double radius = std::sqrt(-2.0 * std::log1p(-u2));
  const double angle = 2.0 * std::numbers::pi * u1;
  pending_normal_ = radius * std::sin(angle);
  return radius * std::cos(angle);
}

}  // namespace mxvideo::pipeline
