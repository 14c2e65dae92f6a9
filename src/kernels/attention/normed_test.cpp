// Queries and keys that are normed and rotated as they are packed, and results that are quantized
// as they are computed: the bits of the ops one after the other.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/parallel.h"
#include "kernels/attention/test_problem.h"
#include "kernels/quantize_mx/quantize_mx.h"
#include "kernels/rope/rope.h"
#include "support/highway_targets.h"

namespace mxvideo::kernels {
namespace {

struct Lengths {
  int64_t q, kv;
};

// Rows of q, k and v with gaps, weights of their norms and angles.
class NormedProblem {
 public:
  NormedProblem(const Lengths& lengths, int64_t heads, int64_t head_dim)
      : lengths_(lengths), heads_(heads), head_dim_(head_dim) {
    const int64_t most = std::max(lengths.q, lengths.kv);
    q_ = test::random_floats(lengths.q * stride(), 3, 1);
    k_ = test::random_floats(lengths.kv * stride(), 3, 2);
    v_ = test::random_floats(lengths.kv * stride(), 2, 3);
    q_weight_ = test::random_floats(width(), 2, 4);
    k_weight_ = test::random_floats(width(), 2, 5);
    cos_ = test::random_floats(most * head_dim / 2, 1, 6);
    sin_ = test::random_floats(most * head_dim / 2, 1, 7);
  }

  int64_t width() const { return heads_ * head_dim_; }
  int64_t results() const { return lengths_.q * width(); }

  AttentionArgs fused(AttentionProducts products, bool rotates) const {
    AttentionArgs args = plain(products);
    args.q = q_.data();
    args.k = k_.data();
    args.q_stride = stride();
    args.q_norm = norm(q_weight_, rotates);
    args.k_norm = norm(k_weight_, rotates);
    return args;
  }

  // The same with q and k normed and rotated before, to `q` and `k`.
  AttentionArgs apart(AttentionProducts products, bool rotates, std::vector<float>& q,
                      std::vector<float>& k, Context& context) const {
    q = ready(q_, lengths_.q, q_weight_, rotates, context);
    k = ready(k_, lengths_.kv, k_weight_, rotates, context);
    AttentionArgs args = plain(products);
    args.q = q.data();
    args.k = k.data();
    args.k_stride = width();
    return args;
  }

 private:
  static constexpr int64_t kGap = 5;
  int64_t stride() const { return width() + kGap; }

  AttentionArgs plain(AttentionProducts products) const {
    AttentionArgs args;
    args.v = v_.data();
    args.q_length = lengths_.q;
    args.kv_length = lengths_.kv;
    args.heads = heads_;
    args.head_dim = head_dim_;
    args.kv_stride = stride();
    args.scale = 0.2f;
    args.products = products;
    return args;
  }

  AttentionNorm norm(const std::vector<float>& weight, bool rotates) const {
    AttentionNorm result{.weight = weight.data(), .epsilon = 1e-5f};
    if (rotates) {
      result.cos = cos_.data();
      result.sin = sin_.data();
    }
    return result;
  }

  std::vector<float> ready(const std::vector<float>& x, int64_t length,
                           const std::vector<float>& weight, bool rotates, Context& context) const {
    std::vector<float> y;
    for (int64_t i = 0; i < length; ++i) {
      y.insert(y.end(), x.begin() + i * stride(), x.begin() + i * stride() + width());
    }
    rms_norm({.x = y.data(),
              .y = y.data(),
              .rows = length,
              .dim = width(),
              .epsilon = 1e-5f,
              .weight = weight.data()},
             context);
    if (rotates) {
      rope({.x = y.data(),
            .cos = cos_.data(),
            .sin = sin_.data(),
            .rows = length,
            .heads = heads_,
            .head_dim = head_dim_},
           context);
    }
    return y;
  }

  Lengths lengths_;
  int64_t heads_;
  int64_t head_dim_;
  std::vector<float> q_, k_, v_, q_weight_, k_weight_, cos_, sin_;
};

std::vector<float> run(AttentionArgs args, int64_t count, Context& context) {
  test::Guarded out(count, 7);
  args.out = out.data();
  attention(args, context);
  EXPECT_TRUE(out.intact());
  return {out.data(), out.data() + count};
}

struct Quantized {
  std::vector<uint8_t> codes, scales;
  explicit Quantized(int64_t count)
      : codes(static_cast<size_t>(count)),
        scales(static_cast<size_t>(count / formats::kMxBlockSize)) {}
  bool operator==(const Quantized&) const = default;
};

// Calls visit(what, context) for every row of the op with every vector target and 1, 2, 7 threads.
template <class Visit>
void for_each_row(AttentionProducts products, const Visit& visit) {
  const int before = num_threads();
  for (const auto& row : host_rows(attention_rows(products))) {
    if (!test::require_cpu(row.requires_cpu, row.name)) continue;
    test::for_each_highway_target([&](const char* target) {
      for (const int threads : {1, 2, 7}) {
        set_num_threads(threads);
        Context context;
        context.policy.forced_rows[attention_op(products)] = row.name;
        visit(std::string(row.name) + " " + target, context);
      }
    });
  }
  set_num_threads(before);
}

class NormedAttention : public testing::TestWithParam<AttentionProducts> {};
INSTANTIATE_TEST_SUITE_P(Products, NormedAttention,
                         testing::Values(AttentionProducts::kFp32, AttentionProducts::kInt8));

void expect_bits_of_parts(AttentionProducts products, const NormedProblem& p, bool rotates) {
  for_each_row(products, [&](const std::string& what, Context& context) {
    std::vector<float> q, k;
    const AttentionArgs apart = p.apart(products, rotates, q, k, context);
    EXPECT_EQ(run(p.fused(products, rotates), p.results(), context),
              run(apart, p.results(), context))
        << what << (rotates ? ", rotated" : "");
  });
}

TEST_P(NormedAttention, HasTheBitsOfNormAndRotationBefore) {
  for (const Lengths lengths : {Lengths{1, 1}, {97, 200}, {200, 96}}) {
    for (const int64_t head_dim : {24, 128}) {
      SCOPED_TRACE(std::to_string(lengths.q) + " queries, " + std::to_string(lengths.kv) +
                   " keys of " + std::to_string(head_dim));
      const NormedProblem p(lengths, 3, head_dim);
      for (const bool rotates : {false, true}) expect_bits_of_parts(GetParam(), p, rotates);
    }
  }
}

TEST_P(NormedAttention, NormsQueriesAlone) {
  const NormedProblem p({50, 60}, 2, 32);
  for_each_row(GetParam(), [&](const std::string& what, Context& context) {
    std::vector<float> q, k;
    const AttentionArgs apart = p.apart(GetParam(), true, q, k, context);
    AttentionArgs fused = p.fused(GetParam(), true);
    fused.k = apart.k;
    fused.k_stride = apart.k_stride;
    fused.k_norm = {};
    EXPECT_EQ(run(fused, p.results(), context), run(apart, p.results(), context)) << what;
  });
}

TEST_P(NormedAttention, QuantizesTheBitsOfItsResult) {
  for (const Lengths lengths : {Lengths{1, 3}, {97, 200}}) {
    for (const auto element : {formats::MxElement::kE4m3, formats::MxElement::kInt8}) {
      const NormedProblem p(lengths, 3, 64);
      const formats::MxOptions options{.element = element};
      for_each_row(GetParam(), [&](const std::string& what, Context& context) {
        AttentionArgs args = p.fused(GetParam(), true);
        const std::vector<float> floats = run(args, p.results(), context);
        Quantized expected(p.results()), actual(p.results());
        quantize_mx({.x = floats.data(),
                     .codes = expected.codes.data(),
                     .scales = expected.scales.data(),
                     .m = lengths.q,
                     .k = p.width(),
                     .options = options},
                    context);
        args.mx = {
            .codes = actual.codes.data(), .scales = actual.scales.data(), .options = options};
        attention(args, context);
        EXPECT_TRUE(actual == expected) << what;
      });
    }
  }
}

}  // namespace
}  // namespace mxvideo::kernels
