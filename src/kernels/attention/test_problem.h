// Random problems of attention with their exact results, for the tests of its rows. The expected
// values and bounds are written out here in double, not taken from reference.cpp.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/attention/attention.h"
#include "kernels/attention/rows.h"
#include "kernels/common/test_rows.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::kernels {

struct AttentionCase {
  int64_t q_length, kv_length, heads, head_dim;
  float amplitude = 1;  // of q and k
  bool bias = false;
  int64_t gap = 0;  // floats between rows beyond heads·head_dim
  int64_t last_key_count = 1;
};

inline std::vector<AttentionCase> attention_shapes() {
  return {{1, 1, 1, 1},
          {5, 1, 2, 24},
          {45, 45, 4, 24},
          {97, 13, 1, 128},
          {14, 193, 2, 128, 1, false, 5},
          {200, 301, 2, 32, 1, true, 0},
          {64, 64, 3, 16, 1, true, 3},
          {2, 4200, 5, 128, 2},  // more keys and values than are packed at a time
          {33, 50, 1, 384},
          {7, 30, 1, 1000},
          {3, 110, 2, 133},
          {100, 41, 2, 128, 1, false, 0, 472},
          {20, 97, 2, 32, 1, true, 3, 9},  // the last key in a block of its own
          {5, 1, 1, 8, 1, false, 0, 512},
          // Scores of about ±80 and far beyond what exp can represent.
          {20, 150, 1, 32, 8, false, 0},
          {20, 150, 1, 64, 60, true, 0}};
}

class AttentionProblem {
 public:
  explicit AttentionProblem(const AttentionCase& c)
      : shape(c),
        q(test::random_floats(c.q_length * stride(), c.amplitude, 1)),
        k(test::random_floats(c.kv_length * stride(), c.amplitude, 2)),
        v(test::random_floats(c.kv_length * stride(), 2, 3)),
        bias_(test::random_floats(c.heads * diagonals(), 3, 4)) {}

  const float* q_row(int64_t i, int64_t head) const { return row(q, i, head); }
  const float* k_row(int64_t j, int64_t head) const { return row(k, j, head); }
  const float* v_row(int64_t j, int64_t head) const { return row(v, j, head); }
  float scale() const { return 1 / std::sqrt(static_cast<float>(shape.head_dim)); }
  double bias_of(int64_t query, int64_t key, int64_t head) const {
    if (!shape.bias) return 0;
    return bias_[head * diagonals() + key - query + shape.q_length - 1];
  }

  void for_each_query(const std::function<void(int64_t query, int64_t head)>& visit) const {
    for (int64_t query = 0; query < shape.q_length; ++query) {
      for (int64_t head = 0; head < shape.heads; ++head) visit(query, head);
    }
  }

  // The result without the gaps between rows, which must stay as they are.
  std::vector<float> run(AttentionProducts products, Context& context) const {
    test::Guarded out(shape.q_length * stride(), 7);
    const int64_t row_stride = shape.gap == 0 ? 0 : stride();
    attention({.q = q.data(),
               .k = k.data(),
               .v = v.data(),
               .out = out.data(),
               .q_length = shape.q_length,
               .kv_length = shape.kv_length,
               .last_key_count = shape.last_key_count,
               .heads = shape.heads,
               .head_dim = shape.head_dim,
               .q_stride = row_stride,
               .kv_stride = row_stride,
               .out_stride = row_stride,
               .scale = scale(),
               .relative_bias = shape.bias ? bias_.data() : nullptr,
               .products = products},
              context);
    EXPECT_TRUE(out.intact());
    std::vector<float> dense;
    const int64_t width = shape.heads * shape.head_dim;
    for (int64_t query = 0; query < shape.q_length; ++query) {
      const float* values = out.data() + query * stride();
      dense.insert(dense.end(), values, values + width);
      for (int64_t i = width; i < stride(); ++i) EXPECT_EQ(values[i], 7) << "between rows";
    }
    return dense;
  }

  AttentionCase shape;
  std::vector<float> q, k, v;

 private:
  int64_t stride() const { return shape.heads * shape.head_dim + shape.gap; }
  int64_t diagonals() const { return shape.q_length + shape.kv_length - 1; }
  const float* row(const std::vector<float>& x, int64_t i, int64_t head) const {
    return x.data() + i * stride() + head * shape.head_dim;
  }

  std::vector<float> bias_;
};

// attn1 of a DiT golden: q and k after rope, v = to_v, heads = the output (fp32 of PyTorch).
class GoldenAttention {
 public:
  static constexpr const char* kNames[] = {"t2v-a14b_f3_6x10", "ti2v-5b_f3_6x10",
                                           "i2v-a14b_f3_6x10"};

  explicit GoldenAttention(const std::string& name) : golden_("dit/" + name + ".safetensors") {}

  std::vector<float> heads() const { return golden_.f32("block0.attn1.heads"); }
  std::vector<float> run(AttentionProducts products, Context& context) const {
    const std::vector<int64_t> shape = golden_.shape("block0.attn1.q");  // [1, rows, heads, dim]
    const std::vector<float> q = golden_.f32("block0.attn1.q");
    const std::vector<float> k = golden_.f32("block0.attn1.k");
    const std::vector<float> v = golden_.f32("block0.attn1.to_v");
    std::vector<float> out(q.size());
    attention({.q = q.data(),
               .k = k.data(),
               .v = v.data(),
               .out = out.data(),
               .q_length = shape[1],
               .kv_length = shape[1],
               .heads = shape[2],
               .head_dim = shape[3],
               .scale = 1 / std::sqrt(static_cast<float>(shape[3])),
               .products = products},
              context);
    return out;
  }

 private:
  test::GoldenFile golden_;
};

// The scores of one query, the last one as of a single key, and by how much computed ones may
// differ from them.
struct Scores {
  std::vector<double> values;
  double error = 0;
};

// How far weights and values may be rounded, of the largest weight of a block of keys and of the
// largest value of a channel in it.
struct Rounding {
  double weight = 0;
  double value = 0;
};

// [query, head, d], query by query.
struct Expected {
  std::vector<double> values;
  std::vector<double> bounds;

  // A score is off by scores.error, the last key's also by u·(|score| + 3·log(count)), from
  // the logarithm and the sum; its difference to the largest one rounds once more and exp adds
  // 3u relative (clamped at e^-87). Numerator and denominator both carry that, their sums of n
  // terms n·u, and each of the blocks of keys rescales with another exp: in all,
  // |error| <= (2·(ε + 4u) + 2·(n + 8·blocks + 8)·u) · Σp|v|/Σp. Rounded weights add
  // rounding.weight · Σg(|v| + |out|)/Σp with g the largest weight of the key's block, rounded
  // values rounding.value of the largest one of a block.
  void append(const AttentionProblem& p, int64_t head, const Scores& scores,
              const Rounding& rounding = {});
};

inline void Expected::append(const AttentionProblem& p, int64_t head, const Scores& scores,
                             const Rounding& rounding) {
  using test::kUnit;
  const auto& s = scores.values;
  const auto n = static_cast<int64_t>(s.size());
  const int64_t block = attention_key_block(p.shape.head_dim);
  const int64_t blocks = n / block + 1;
  const auto [smallest, largest] = std::minmax_element(s.begin(), s.end());
  const auto count = static_cast<double>(p.shape.last_key_count);
  const double error = scores.error + kUnit * (std::abs(s.back()) + 3 * std::log(count));
  const double relative = 2 * (error + kUnit * std::min(*largest - *smallest, 87.0) + 4 * kUnit) +
                          2 * static_cast<double>(n + 8 * blocks + 8) * kUnit;
  std::vector<double> weights(n);
  std::vector<double> block_weights(n);
  double total = 0;
  for (int64_t j = 0; j < n; ++j) {
    weights[j] = std::exp(s[j] - *largest) * (j + 1 == n ? count : 1);
    total += weights[j];
  }
  for (int64_t j = 0; j < n; ++j) {
    const auto first = weights.begin() + j / block * block;
    block_weights[j] = *std::max_element(first, std::min(first + block, weights.end()));
  }
  for (int64_t d = 0; d < p.shape.head_dim; ++d) {
    double sum = 0;
    double magnitude = 0;
    double moved = 0;
    double clamped = 0;
    double largest_value = 0;
    for (int64_t j = 0; j < n; ++j) {
      const double value = p.v_row(j, head)[d];
      sum += weights[j] * value;
      magnitude += weights[j] * std::abs(value);
      moved += block_weights[j] * std::abs(value);
      clamped += std::abs(value);
      largest_value = std::max(largest_value, std::abs(value));
    }
    double all_moved = 0;
    for (const double weight : block_weights) all_moved += weight;
    values.push_back(sum / total);
    bounds.push_back(1.05 * relative * magnitude / total + 0x1p-124 * clamped +
                     1.05 * rounding.weight * (moved + std::abs(sum / total) * all_moved) / total +
                     rounding.value * largest_value);
  }
}

// Every row, with every vector target: within the bounds, and `typical` the most that all values
// together may be off, as a fraction, where scores are of usual size.
inline void expect_rows_within(const AttentionProblem& p, AttentionProducts products,
                               const Expected& expected, double typical) {
  const std::vector<float> nearest(expected.values.begin(), expected.values.end());
  for (const auto& row : host_rows(attention_rows(products))) {
    if (!test::require_cpu(row.requires_cpu, row.name)) continue;
    test::sweep(
        {attention_op(products), row.name},
        [&](Context& context) { return p.run(products, context); },
        [&](std::span<const float> out) {
          test::expect_within(out, expected.values, expected.bounds);
          if (p.shape.amplitude == 1) {
            EXPECT_LT(test::relative_rms(out, nearest), typical);
          }
        });
  }
}

}  // namespace mxvideo::kernels
