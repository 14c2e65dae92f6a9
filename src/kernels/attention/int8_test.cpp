#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/attention/attention.h"
#include "kernels/attention/test_problem.h"
#include "support/test_support.h"

namespace mxvideo::kernels {
namespace {

// The definition of int8.h, written out once more: codes of a row, and what one of them is worth.
struct Codes {
  std::vector<double> values;
  double scale = 0;
};

Codes codes_of(const std::vector<float>& row) {
  float largest = 0;
  for (const float x : row) largest = std::max(largest, std::abs(x));
  Codes codes{.values = {}, .scale = largest / 127.0f};
  for (const float x : row) {
    codes.values.push_back(largest == 0 ? 0 : std::nearbyint(x * (127.0f / largest)));
  }
  return codes;
}

std::vector<float> mean_key(const AttentionProblem& p, int64_t head) {
  std::vector<float> mean;
  for (int64_t d = 0; d < p.shape.head_dim; ++d) {
    double sum = 0;
    for (int64_t j = 0; j < p.shape.kv_length; ++j) sum += p.k_row(j, head)[d];
    mean.push_back(static_cast<float>(sum / static_cast<double>(p.shape.kv_length)));
  }
  return mean;
}

std::vector<Codes> key_codes(const AttentionProblem& p, int64_t head) {
  const std::vector<float> mean = mean_key(p, head);
  std::vector<Codes> codes;
  for (int64_t j = 0; j < p.shape.kv_length; ++j) {
    std::vector<float> row(p.k_row(j, head), p.k_row(j, head) + p.shape.head_dim);
    for (size_t d = 0; d < row.size(); ++d) row[d] -= mean[d];
    codes.push_back(codes_of(row));
  }
  return codes;
}

// Integers are summed exactly; scaling them rounds six times.
Scores int8_scores(const AttentionProblem& p, const std::vector<Codes>& keys, int64_t query,
                   int64_t head) {
  const float* row = p.q_row(query, head);
  const Codes q = codes_of({row, row + p.shape.head_dim});
  Scores scores;
  for (int64_t j = 0; j < p.shape.kv_length; ++j) {
    double sum = 0;
    for (size_t d = 0; d < q.values.size(); ++d) sum += q.values[d] * keys[j].values[d];
    const double product = sum * q.scale * keys[j].scale * p.scale();
    const double score = product + p.bias_of(query, j, head);
    scores.values.push_back(score);
    scores.error = std::max(scores.error, test::kUnit * (6 * std::abs(product) + std::abs(score)));
  }
  return scores;
}

// Half a code of a weight, the exp of it aside, and of a value.
constexpr Rounding kRounding = {.weight = 0.51 / 16383, .value = 0.501 / 1023};

class AttentionInt8Rows : public testing::TestWithParam<AttentionCase> {};

TEST_P(AttentionInt8Rows, StayInsideTheBound) {
  const AttentionProblem p(GetParam());
  std::vector<std::vector<Codes>> keys;
  for (int64_t head = 0; head < p.shape.heads; ++head) keys.push_back(key_codes(p, head));
  Expected expected;
  p.for_each_query([&](int64_t query, int64_t head) {
    expected.append(p, head, int8_scores(p, keys[head], query, head), kRounding);
  });
  expect_rows_within(p, AttentionProducts::kInt8, expected, 2e-3);  // of 10 and 14 bits
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionInt8Rows, testing::ValuesIn(attention_shapes()));

double snr_db(const std::vector<float>& out, const std::vector<float>& exact) {
  return -20 * std::log10(test::relative_rms(out, exact));
}

// Keys share a large offset, as they do in trained models: without taking their mean away, half of
// the codes would be lost on it.
TEST(AttentionInt8, AnOffsetOfAllKeysCostsNothing) {
  AttentionProblem p({64, 300, 2, 64});
  const auto noise = [&](AttentionProducts products, const char* op, const char* row) {
    Context context;
    context.policy.forced_rows[op] = row;
    return p.run(products, context);
  };
  const auto snr = [&] {
    return snr_db(noise(AttentionProducts::kInt8, "attention_int8", "highway_int16"),
                  noise(AttentionProducts::kFp32, "attention", "reference"));
  };
  const double without_offset = snr();
  for (size_t i = 0; i < p.k.size(); ++i) p.k[i] += i % 64 == 7 ? 40.0f : 0.0f;
  EXPECT_GT(without_offset, 40);
  EXPECT_NEAR(snr(), without_offset, 1);
}

TEST(AttentionInt8, KeepsFortyDecibelsOnTheGoldens) {
  for (const char* name : GoldenAttention::kNames) {
    const GoldenAttention golden(name);
    Context context;
    const std::vector<float> out = golden.run(AttentionProducts::kInt8, context);
    EXPECT_EQ((context.choices()[{"attention_int8", "highway_int16"}]), 1);
    EXPECT_GT(snr_db(out, golden.heads()), 40) << name;
  }
}

// One NaN in a value reaches its channel of its head and nothing else.
TEST(AttentionInt8, NanInAValueStaysInItsChannel) {
  AttentionProblem p({20, 250, 2, 8});
  p.v[200 * 16 + 11] = std::nanf("");
  Context context;
  const std::vector<float> out = p.run(AttentionProducts::kInt8, context);
  for (size_t i = 0; i < out.size(); ++i) ASSERT_EQ(std::isnan(out[i]), i % 16 == 11) << i;
}

}  // namespace
}  // namespace mxvideo::kernels
