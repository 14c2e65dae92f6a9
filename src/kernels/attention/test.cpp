#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention/attention.h"
#include "kernels/attention/rows.h"
#include "kernels/attention/test_problem.h"
#include "kernels/common/test_rows.h"
#include "support/test_support.h"

namespace mxvideo::kernels {
namespace {

void expect_reference(const float* bias, const std::vector<double>& expected) {
  // [2 queries, 2 heads, 2], [3 keys, 2 heads, 2].
  const float q[] = {1, 2, 0.5f, -1, -1, 0.25f, 2, 1};
  const float k[] = {0.5f, 1, 1, 1, -1, 2, 0, -2, 3, 0, 0.25f, 0.5f};
  const float v[] = {1, 0, 2, 3, 0, 1, -1, 0.5f, 4, -2, 0.25f, 8};
  std::vector<float> out(8);
  Context context;
  context.policy.forced_rows["attention"] = "reference";
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

TEST(Attention, RowsEqualTheGoldens) {
  for (const char* name : GoldenAttention::kNames) {
    const GoldenAttention golden(name);
    for (const auto& row : host_rows(attention_rows())) {
      Context context;
      context.policy.forced_rows["attention"] = row.name;
      const std::vector<float> out = golden.run(AttentionProducts::kFp32, context);
      EXPECT_LT(test::relative_rms(out, golden.heads()), 1e-6) << row.name;
    }
  }
}

// Scores in double. Those of fp32 are off by at most (d + 3)·u·scale·Σ|q·k| + u·|score|.
Scores fp32_scores(const AttentionProblem& p, int64_t query, int64_t head) {
  const AttentionCase& c = p.shape;
  Scores scores;
  for (int64_t j = 0; j < c.kv_length; ++j) {
    double score = 0;
    double magnitude = 0;
    for (int64_t d = 0; d < c.head_dim; ++d) {
      const double product = double{p.q_row(query, head)[d]} * p.k_row(j, head)[d];
      score += product * p.scale();
      magnitude += std::abs(product) * p.scale();
    }
    score += p.bias_of(query, j, head);
    scores.values.push_back(score);
    scores.error =
        std::max(scores.error, static_cast<double>(c.head_dim + 3) * test::kUnit * magnitude +
                                   test::kUnit * std::abs(score));
  }
  return scores;
}

class AttentionRows : public testing::TestWithParam<AttentionCase> {};

TEST_P(AttentionRows, StayInsideTheBound) {
  const AttentionProblem p(GetParam());
  Expected expected;
  p.for_each_query(
      [&](int64_t query, int64_t head) { expected.append(p, head, fp32_scores(p, query, head)); });
  // The worst case grows with the length; typical errors must not: a hundredth of the 1e-4 that a
  // whole model may differ by.
  expect_rows_within(p, AttentionProducts::kFp32, expected, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionRows, testing::ValuesIn(attention_shapes()));

class AttentionOps : public testing::TestWithParam<AttentionProducts> {
 protected:
  const char* op() const { return attention_op(GetParam()); }
  std::span<const AttentionRow> rows() const { return host_rows(attention_rows(GetParam())); }
};
INSTANTIATE_TEST_SUITE_P(Products, AttentionOps,
                         testing::Values(AttentionProducts::kFp32, AttentionProducts::kInt8),
                         [](const auto& products) {
                           return attention_products_name(products.param);
                         });

// A large score in the first or in the last block of keys must neither overflow nor lose the rest.
TEST_P(AttentionOps, TakeScoresFarApart) {
  constexpr int64_t kKeys = 250;
  const std::vector<float> q = {1};
  std::vector<float> v(kKeys, 1.0f);
  for (const auto& row : rows()) {
    for (const int64_t peak : {int64_t{0}, kKeys - 1}) {
      test::sweep(
          {op(), row.name},
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
                       .head_dim = 1,
                       .products = GetParam()},
                      context);
            return out;
          },
          [](std::span<const float> out) { EXPECT_EQ(out[0], -2); });
    }
  }
}

// One NaN in a key, in any block, reaches every query that sees it and no other head.
TEST_P(AttentionOps, NeverLoseNan) {
  constexpr int64_t kKeys = 250;
  constexpr int64_t kHeads = 2, kHeadDim = 8;
  constexpr int64_t kWidth = kHeads * kHeadDim;
  const std::vector<float> q = test::random_floats(20 * kWidth, 1, 1);
  const auto expect_first_head = [](std::span<const float> is_nan) {
    for (size_t i = 0; i < is_nan.size(); ++i) {
      ASSERT_EQ(is_nan[i], i % kWidth < kHeadDim ? 1.0f : 0.0f) << i;
    }
  };
  for (const auto& row : rows()) {
    for (const int64_t bad : {int64_t{0}, int64_t{100}, kKeys - 1}) {
      test::sweep(
          {op(), row.name},
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
                       .head_dim = kHeadDim,
                       .products = GetParam()},
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
