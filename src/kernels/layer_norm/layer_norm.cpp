#include "kernels/layer_norm/layer_norm.h"

#include <memory>

#include "base/parallel.h"
#include "kernels/common/thread_scratch.h"
#include "kernels/layer_norm/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<LayerNormArgs> kRows[] = {
    ascend_row<Row<LayerNormArgs>>(layer_norm_ascend, layer_norm_ascend_reject),
    {"highway", kCpuNone, accept_all<LayerNormArgs>, layer_norm_highway},
    {"reference", kCpuNone, accept_all<LayerNormArgs>, layer_norm_reference},
};

LayerNormArgs rows_of(const LayerNormArgs& args, int64_t begin, int64_t count, float* y) {
  LayerNormArgs slice = args;
  slice.x += begin * args.dim;
  slice.y = y;
  slice.rows = count;
  if (slice.modulation_row != nullptr) slice.modulation_row += begin;
  return slice;
}

}  // namespace

std::span<const Row<LayerNormArgs>> layer_norm_rows() { return kRows; }

void layer_norm(const LayerNormArgs& args, Context& context) {
  const Row<LayerNormArgs>& row = select("layer_norm", layer_norm_rows(), args, context);
  if (launched_by(row, args, context)) return;
  context.launch([args, &row] {
    parallel_for(args.rows, 1, [&](int64_t begin, int64_t end) {
      row.run(rows_of(args, begin, end - begin, args.y + begin * args.dim));
    });
  });
}

void layer_norm_mx(const LayerNormArgs& args, const MxOutput& output, Context& context) {
  const QuantizeMxArgs whole = {.m = args.rows, .k = args.dim, .options = output.options};
  const Row<LayerNormArgs>& norm = select("layer_norm", layer_norm_rows(), args, context);
  const Row<QuantizeMxArgs>& quantize = select("quantize_mx", quantize_mx_rows(), whole, context);
  if (norm.device == DeviceKind::kAscend) {
    layer_norm_mx_ascend(args, output, context);
    return;
  }
  const auto scratch = std::make_shared<ThreadScratch>(context.memory(), args.rows, args.dim);
  context.launch([args, output, &norm, &quantize, scratch] {
    const int64_t blocks = args.dim / formats::kMxBlockSize;
    parallel_for(args.rows, 1, [&](int64_t begin, int64_t end) {
      QuantizeMxArgs quantized = {.m = 1, .k = args.dim, .options = output.options};
      float* const values = scratch->take();
      quantized.x = values;
      for (int64_t row = begin; row < end; ++row) {
        norm.run(rows_of(args, row, 1, values));
        quantized.codes = output.codes + row * args.dim;
        quantized.scales = output.scales + row * blocks;
        quantize.run(quantized);
      }
    });
  });
}

}  // namespace mxvideo::kernels
