#include "kernels/quantize_mx/quantize_mx.h"

#include <algorithm>

#include "base/parallel.h"
#include "kernels/quantize_mx/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<QuantizeMxArgs> kRows[] = {
    ascend_row<Row<QuantizeMxArgs>>(quantize_mx_ascend, quantize_mx_ascend_reject),
    {"highway", kCpuNone, accept_all<QuantizeMxArgs>, quantize_mx_highway},
    {"reference", kCpuNone, accept_all<QuantizeMxArgs>, quantize_mx_reference},
};

// 32 KB of input: what pays for waking a thread.
constexpr int64_t kBlocksPerTask = 256;

}  // namespace

std::span<const Row<QuantizeMxArgs>> quantize_mx_rows() { return kRows; }

void quantize_mx_piece(void (*quantize)(const QuantizeMxArgs&) noexcept, const float* x,
                       const MxPiece& piece, const MxOutput& to) noexcept {
  constexpr int64_t kBlock = formats::kMxBlockSize;
  constexpr int64_t kChunk = 64;  // blocks
  uint8_t codes[kChunk * kBlock];
  uint8_t scales[kChunk];
  const int64_t across = piece.columns / kBlock;
  for (int64_t first = 0; first < piece.rows * across; first += kChunk) {
    const int64_t count = std::min(kChunk, piece.rows * across - first);
    quantize({.x = x + first * kBlock,
              .codes = codes,
              .scales = scales,
              .m = count,
              .k = kBlock,
              .options = to.options});
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = piece.row + (first + i) / across;
      const int64_t at = row * piece.n + piece.column + (first + i) % across * kBlock;
      std::copy_n(codes + i * kBlock, kBlock, to.codes + at);
      to.scales[at / kBlock] = scales[i];
    }
  }
}

void quantize_mx(const QuantizeMxArgs& args, Context& context) {
  const auto& row = select("quantize_mx", quantize_mx_rows(), args, context);
  if (launched_by(row, args, context)) return;
  // Rows of the matrix lie one behind the other and have no tails, so that it is one list of
  // blocks, which splits evenly for a single row as well.
  context.launch([args, &row] {
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
  });
}

}  // namespace mxvideo::kernels
