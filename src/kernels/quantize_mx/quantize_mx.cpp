#include "kernels/quantize_mx/quantize_mx.h"

#include "base/parallel.h"
#include "kernels/quantize_mx/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<QuantizeMxArgs> kRows[] = {
    {"highway", kCpuNone, accept_all<QuantizeMxArgs>, quantize_mx_highway},
    {"reference", kCpuNone, accept_all<QuantizeMxArgs>, quantize_mx_reference},
};

// 32 KB of input: what pays for waking a thread.
constexpr int64_t kBlocksPerTask = 256;

}  // namespace

std::span<const Row<QuantizeMxArgs>> quantize_mx_rows() { return kRows; }

void quantize_mx(const QuantizeMxArgs& args, Context& context) {
  const auto& row = select("quantize_mx", quantize_mx_rows(), args, context);
  // Rows of the matrix lie one behind the other and have no tails, so that it is one list of
  // blocks, which splits evenly for a single row as well.
  constexpr int64_t kBlock = formats::kMxBlockSize;
  parallel_for(args.m * (args.k / kBlock), kBlocksPerTask, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kBlock;
    row.run({.x = args.x == nullptr ? nullptr : args.x + first,
             .x_bf16 = args.x_bf16 == nullptr ? nullptr : args.x_bf16 + first,
             .codes = args.codes + first,
             .scales = args.scales + begin,
             .m = end - begin,
             .k = kBlock,
             .options = args.options});
  });
}

}  // namespace mxvideo::kernels
