// Samples of attention: a few heads, and of long sequences parts. Norms, rotation and quantization
// are work of their own operations, which attention() notes beside its own.
#include <algorithm>

#include "base/parallel.h"
#include "kernels/attention/attention.h"

namespace mxvideo::kernels {
namespace {

// Enough queries that packing keys and values hides behind them, as it does in long sequences.
constexpr int64_t kQueries = 1536;
constexpr int64_t kKeys = 4096;
// A thread has some blocks of queries to do.
constexpr int64_t kThreadsPerHead = 4;

Work work_of(const AttentionArgs& args) {
  const auto q = static_cast<double>(args.q_length), kv = static_cast<double>(args.kv_length);
  const auto width = static_cast<double>(args.heads * args.head_dim);
  const double bias =
      args.relative_bias == nullptr ? 0 : static_cast<double>(args.heads) * (q + kv);
  return {.flops = 4 * q * kv * width, .bytes = 4 * (2 * (q + kv) * width + bias)};
}

}  // namespace

Workload workload(const AttentionArgs& args) {
  AttentionArgs sample = {.q_length = std::min(args.q_length, kQueries),
                          .kv_length = std::min(args.kv_length, kKeys),
                          .heads = args.heads,
                          .head_dim = args.head_dim,
                          .relative_bias = args.relative_bias,
                          .products = args.products};
  if (args.q_length > kQueries) {
    const int64_t heads = std::max<int64_t>(2, num_threads() / kThreadsPerHead);
    sample.heads = std::min(args.heads, heads);
  }
  return {.work = work_of(args),
          .shape = sizes_text({sample.q_length, sample.kv_length, sample.heads, sample.head_dim}) +
                   (sample.relative_bias != nullptr ? " biased" : ""),
          .sample_work = work_of(sample),
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            const int64_t width = sample.heads * sample.head_dim;
            AttentionArgs call = sample;
            call.q = memory.floats(call.q_length * width);
            call.k = memory.floats(call.kv_length * width);
            call.v = memory.floats(call.kv_length * width);
            call.out = memory.floats(call.q_length * width);
            call.relative_bias = memory.floats_like(
                call.relative_bias, call.heads * (call.q_length + call.kv_length - 1));
            return [call, memory](Context& context) { attention(call, context); };
          }};
}

}  // namespace mxvideo::kernels
