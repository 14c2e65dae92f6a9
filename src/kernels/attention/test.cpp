#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention/attention.h"
#include "kernels/attention/rows.h"
#include "kernels/common/test_rows.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::kernels {
namespace {

using test::Guarded;
using test::kUnit;

void expect_reference(const float* bias, const std::vector<double>& expected) {
  // [2 queries, 2 heads, 2], [3 keys, 2 heads, 2].
  const float q[] = {1, 2, 0.5f, -1, -1, 0.25f, 2, 1};
  const float k[] = {0.5f, 1, 1, 1, -1, 2, 0, -2, 3, 0, 0.25f, 0.5f};
  const float v[] = {1, 0, 2, 3, 0, 1, -1, 0.5f, 4, -2, 0.25f, 8};
  std::vector<float> out(8);
  Context context;
  context.forced_rows["attention"] = "reference";
  attention({.q = q,
             .k = k,
             .v = v,
             .out = out.data(),
             .q_length = 2,
             .kv_length = 3,
             .heads = 2,
             .head_dim = 2,
             .scale = 0.75f,
             .relative_bias = bias},
            context);
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], static_cast<float>(expected[i])) << i;
}

// Expected values: torch.nn.functional.scaled_dot_product_attention in float64, without a mask and
// with attn_mask[h, i, j] = bias[h][j - i + 1].
TEST(Attention, ReferenceEqualsPyTorch) {
  expect_reference(
      nullptr, {1.7442444011460545, -0.37212220057302725, -0.4926553510490743, 1.745737170316349,
                0.3115159514035782, 0.7147377321799205, 1.6301834578895622, 3.8477585619899664});
  const float bias[] = {0.5f, -1, 0, 2, 1, 0.25f, -0.5f, 0};
  expect_reference(
      bias, {3.449366324762158, -1.5943390992620825, -0.17553836547020332, 2.3062967573885618,
             0.6864376722257614, 0.3540166942224227, 1.886459792581897, 3.208467971377845});
}

// attn1 of the DiT goldens: q and k after rope, v = to_v, heads = the output (fp32 of PyTorch).
TEST(Attention, RowsEqualTheGoldens) {
  for (const char* name : {"t2v-a14b_f3_6x10", "ti2v-5b_f3_6x10", "i2v-a14b_f3_6x10"}) {
    const test::GoldenFile golden("dit/" + std::string(name) + ".safetensors");
    const std::vector<int64_t> shape = golden.shape("block0.attn1.q");  // [1, rows, heads, dim]
    const std::vector<float> q = golden.f32("block0.attn1.q");
    const std::vector<float> k = golden.f32("block0.attn1.k");
    const std::vector<float> v = golden.f32("block0.attn1.to_v");
    for (const auto& row : attention_rows()) {
      Context context;
      context.forced_rows["attention"] = row.name;
      std::vector<float> out(q.size());
      attention({.q = q.data(),
                 .k = k.data(),
                 .v = v.data(),
                 .out = out.data(),
                 .q_length = shape[1],
                 .kv_length = shape[1],
                 .heads = shape[2],
                 .head_dim = shape[3],
                 .scale = 1 / std::sqrt(static_cast<float>(shape[3]))},
                context);
      EXPECT_LT(test::relative_rms(out, golden.f32("block0.attn1.heads")), 1e-6) << row.name;
    }
  }
}

struct Case {
  int64_t q_length, kv_length, heads, head_dim;
  float amplitude = 1;  // of q and k
  bool bias = false;
  int64_t gap = 0;  // floats between rows beyond heads·head_dim
};

struct Problem {
  explicit Problem(const Case& c)
      : shape(c),
        stride(c.heads * c.head_dim + c.gap),
        q(test::random_floats(c.q_length * stride, c.amplitude, 1)),
        k(test::random_floats(c.kv_length * stride, c.amplitude, 2)),
        v(test::random_floats(c.kv_length * stride, 2, 3)),
        bias(test::random_floats(c.heads * (c.q_length + c.kv_length - 1), 3, 4)) {}

  AttentionArgs args(float* out) const {
    return {.q = q.data(),
            .k = k.data(),
            .v = v.data(),
            .out = out,
            .q_length = shape.q_length,
            .kv_length = shape.kv_length,
            .heads = shape.heads,
            .head_dim = shape.head_dim,
            .q_stride = shape.gap == 0 ? 0 : stride,
            .kv_stride = shape.gap == 0 ? 0 : stride,
            .out_stride = shape.gap == 0 ? 0 : stride,
            .scale = scale(),
            .relative_bias = shape.bias ? bias.data() : nullptr};
  }
  float scale() const { return 1 / std::sqrt(static_cast<float>(shape.head_dim)); }

  Case shape;
  int64_t stride;
  std::vector<float> q, k, v, bias;
};

// One query of one head in double, with the bound below, appended to the two arrays.
//
// A score of fp32 is off by at most (d + 3)·u·scale·Σ|q·k| + u·|score|; its difference to the
// largest one rounds once more and exp adds 3u relative (clamped at e^-87). Numerator and
// denominator both carry that, their sums of n terms n·u, and each of the blocks of keys rescales
// with another exp: in all, |error| <= (2·(ε + 4u) + 2·(n + 8·blocks + 8)·u) · Σp|v|/Σp.
void append_exact(const Problem& p, int64_t query, int64_t head, std::vector<double>& values,
                  std::vector<double>& bounds) {
  const Case& c = p.shape;
  std::vector<double> scores(c.kv_length);
  double score_error = 0;
  for (int64_t j = 0; j < c.kv_length; ++j) {
    double magnitude = 0;
    for (int64_t d = 0; d < c.head_dim; ++d) {
      const double product = double{p.q[query * p.stride + head * c.head_dim + d]} *
                             p.k[j * p.stride + head * c.head_dim + d];
      scores[j] += product * p.scale();
      magnitude += std::abs(product) * p.scale();
    }
    if (c.bias) {
      scores[j] += p.bias[head * (c.q_length + c.kv_length - 1) + j - query + c.q_length - 1];
    }
    score_error = std::max(score_error, static_cast<double>(c.head_dim + 3) * kUnit * magnitude +
                                            kUnit * std::abs(scores[j]));
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  const double smallest = *std::min_element(scores.begin(), scores.end());
  const int64_t blocks = c.kv_length / attention_key_block(c.head_dim) + 1;
  const double relative =
      2 * (score_error + kUnit * std::min(largest - smallest, 87.0) + 4 * kUnit) +
      2 * static_cast<double>(c.kv_length + 8 * blocks + 8) * kUnit;
  for (int64_t d = 0; d < c.head_dim; ++d) {
    double weights = 0;
    double sum = 0;
    double magnitude = 0;
    double clamped = 0;
    for (int64_t j = 0; j < c.kv_length; ++j) {
      const double weight = std::exp(scores[j] - largest);
      const double value = p.v[j * p.stride + head * c.head_dim + d];
      weights += weight;
      sum += weight * value;
      magnitude += weight * std::abs(value);
      clamped += std::abs(value);
    }
    values.push_back(sum / weights);
    bounds.push_back(1.05 * relative * magnitude / weights + 0x1p-124 * clamped);
  }
}

class AttentionRows : public testing::TestWithParam<Case> {};

TEST_P(AttentionRows, StayInsideTheBound) {
  const Problem p(GetParam());
  const Case& c = p.shape;
  std::vector<double> expected;
  std::vector<double> bounds;
  for (int64_t query = 0; query < c.q_length; ++query) {
    for (int64_t head = 0; head < c.heads; ++head) append_exact(p, query, head, expected, bounds);
  }
  const std::vector<float> nearest(expected.begin(), expected.end());
  const auto run = [&](Context& context) {
    Guarded out(c.q_length * p.stride, 7);
    attention(p.args(out.data()), context);
    EXPECT_TRUE(out.intact());
    std::vector<float> dense;
    for (int64_t query = 0; query < c.q_length; ++query) {
      const float* row = out.data() + query * p.stride;
      const int64_t width = c.heads * c.head_dim;
      dense.insert(dense.end(), row, row + width);
      for (int64_t i = width; i < p.stride; ++i) EXPECT_EQ(row[i], 7) << "between rows";
    }
    return dense;
  };
  for (const auto& row : attention_rows()) {
    if (!test::require_cpu(row.requires_cpu, row.name)) continue;
    test::sweep({"attention", row.name}, run, [&](std::span<const float> out) {
      test::expect_within(out, expected, bounds);
      // The worst case above grows with the length; typical errors must not: a hundredth of the
      // 1e-4 that a whole model may differ by.
      if (c.amplitude == 1) {
        EXPECT_LT(test::relative_rms(out, nearest), 1e-6);
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionRows,
    testing::Values(Case{1, 1, 1, 1}, Case{5, 1, 2, 24}, Case{45, 45, 4, 24}, Case{97, 13, 1, 128},
                    Case{14, 193, 2, 128, 1, false, 5}, Case{200, 301, 2, 32, 1, true, 0},
                    Case{64, 64, 3, 16, 1, true, 3},
                    Case{2, 4200, 5, 128, 2},  // more keys and values than are packed at a time
                    Case{33, 50, 1, 384}, Case{7, 30, 1, 1000},
                    // Scores of about ±80 and far beyond what exp can represent.
                    Case{20, 150, 1, 32, 8, false, 0}, Case{20, 150, 1, 64, 60, true, 0}));

// A large score in the first or in the last block of keys must neither overflow nor lose the rest.
TEST(Attention, TakesScoresFarApart) {
  constexpr int64_t kKeys = 250;
  const std::vector<float> q = {1};
  std::vector<float> v(kKeys, 1.0f);
  for (const auto& row : attention_rows()) {
    for (const int64_t peak : {int64_t{0}, kKeys - 1}) {
      test::sweep(
          {"attention", row.name},
          [&](Context& context) {
            std::vector<float> k(kKeys, -1e30f);
            k[peak] = 3e38f;
            std::vector<float> values = v;
            values[peak] = -2;
            std::vector<float> out(1);
            attention({.q = q.data(),
                       .k = k.data(),
                       .v = values.data(),
                       .out = out.data(),
                       .q_length = 1,
                       .kv_length = kKeys,
                       .heads = 1,
                       .head_dim = 1},
                      context);
            return out;
          },
          [](std::span<const float> out) { EXPECT_EQ(out[0], -2); });
    }
  }
}

// One NaN in a key, in any block, reaches every query that sees it and no other head.
TEST(Attention, NanIsNeverLost) {
  constexpr int64_t kKeys = 250;
  constexpr int64_t kHeads = 2, kHeadDim = 8;
  constexpr int64_t kWidth = kHeads * kHeadDim;
  const std::vector<float> q = test::random_floats(20 * kWidth, 1, 1);
  const auto expect_first_head = [](std::span<const float> is_nan) {
    for (size_t i = 0; i < is_nan.size(); ++i) {
      ASSERT_EQ(is_nan[i], i % kWidth < kHeadDim ? 1.0f : 0.0f) << i;
    }
  };
  for (const auto& row : attention_rows()) {
    for (const int64_t bad : {int64_t{0}, int64_t{100}, kKeys - 1}) {
      test::sweep(
          {"attention", row.name},
          [&](Context& context) {
            std::vector<float> k = test::random_floats(kKeys * kWidth, 1, 2);
            const std::vector<float> v = test::random_floats(kKeys * kWidth, 1, 3);
            k[bad * kWidth + 3] = std::numeric_limits<float>::quiet_NaN();
            std::vector<float> out(20 * kWidth);
            attention({.q = q.data(),
                       .k = k.data(),
                       .v = v.data(),
                       .out = out.data(),
                       .q_length = 20,
                       .kv_length = kKeys,
                       .heads = kHeads,
                       .head_dim = kHeadDim},
                      context);
            for (float& value : out) value = std::isnan(value) ? 1.0f : 0.0f;
            return out;
          },
          expect_first_head);
    }
  }
}

}  // namespace
}  // namespace mxvideo::kernels
