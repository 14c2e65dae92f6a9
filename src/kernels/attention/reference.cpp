#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention/int8.h"
#include "kernels/attention/rows.h"

namespace mxvideo::kernels {
namespace {

struct Query {
  const AttentionBlock& args;
  int64_t head;
  int64_t index;

  const float* q() const { return args.q + index * args.q_stride + head * args.head_dim; }

  double product(const float* k) const {
    double sum = 0;
    for (int64_t d = 0; d < args.head_dim; ++d) sum += static_cast<double>(q()[d]) * k[d];
    return sum;
  }

  double int8_product(const float* k) const {
    const float* mean = args.key_mean + head * args.head_dim;
    const IntegerQuantizer q_codes = query_quantizer(q(), args.head_dim);
    const IntegerQuantizer k_codes = key_quantizer(k, mean, args.head_dim);
    int32_t sum = 0;
    for (int64_t d = 0; d < args.head_dim; ++d) sum += q_codes(q()[d]) * k_codes(k[d] - mean[d]);
    return static_cast<double>(q_codes.scale()) * k_codes.scale() * sum;
  }

  double score(int64_t key) const {
    const float* k = args.k + key * args.k_stride + head * args.head_dim;
    const bool int8 = args.products == AttentionProducts::kInt8;
    const double sum = args.scale * (int8 ? int8_product(k) : product(k));
    if (args.relative_bias == nullptr) return sum;
    const int64_t diagonals = args.q_length + args.kv_length - 1;
    return sum + args.relative_bias[head * diagonals + key - index + args.q_length - 1];
  }
};

// The textbook form, of kInt8 with weights and values that are not rounded, in two passes over the
// keys: the largest score, then the weighted mean.
void attend(const Query& query) {
  const AttentionBlock& args = query.args;
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t key = 0; key < args.kv_length; ++key) {
    largest = std::max(largest, query.score(key));
  }
  double weights = 0;
  auto* sums = reinterpret_cast<double*>(args.scratch);
  std::fill_n(sums, args.head_dim, 0.0);
  for (int64_t key = 0; key < args.kv_length; ++key) {
    double weight = std::exp(query.score(key) - largest);
    if (key + 1 == args.kv_length) weight *= static_cast<double>(args.last_key_count);
    const float* v = args.v + key * args.kv_stride + query.head * args.head_dim;
    weights += weight;
    for (int64_t d = 0; d < args.head_dim; ++d) sums[d] += weight * v[d];
  }
  float* out = args.out + query.index * args.out_stride + query.head * args.head_dim;
  for (int64_t d = 0; d < args.head_dim; ++d) out[d] = static_cast<float>(sums[d] / weights);
}

}  // namespace

void attention_reference(const AttentionBlock& args) noexcept {
  for (int64_t head = 0; head < args.heads; ++head) {
    for (int64_t index = 0; index < args.q_length; ++index) attend({args, head, index});
  }
}

}  // namespace mxvideo::kernels
