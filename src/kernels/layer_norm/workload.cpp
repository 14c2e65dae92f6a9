#include "kernels/layer_norm/layer_norm.h"

namespace mxvideo::kernels {
namespace {

// Of modulations, one vector.
Work work_of(const LayerNormArgs& args) {
  const int vectors = (args.weight != nullptr ? 1 : 0) + (args.bias != nullptr ? 1 : 0) +
                      (args.scale != nullptr ? 2 : 0);
  const auto dim = static_cast<double>(args.dim);
  return {.bytes = 4 * dim * (2 * static_cast<double>(args.rows) + vectors)};
}

}  // namespace

Workload workload(const LayerNormArgs& args) {
  LayerNormArgs sample = args;
  sample.rows = sample_rows(args.rows, args.dim);
  return {.work = work_of(args),
          .shape = sizes_text({sample.rows, sample.dim}) +
                   (args.weight != nullptr ? " affine" : "") +
                   (args.scale != nullptr ? " modulated" : ""),
          .sample_work = work_of(sample),
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            LayerNormArgs call = sample;
            call.x = memory.floats(call.rows * call.dim);
            call.y = memory.floats(call.rows * call.dim);
            call.weight = memory.floats_like(sample.weight, call.dim);
            call.bias = memory.floats_like(sample.bias, call.dim);
            call.scale = memory.floats_like(sample.scale, call.dim);
            call.shift = memory.floats_like(sample.shift, call.dim);
            call.modulation_row = memory.indices_like(sample.modulation_row, call.rows);
            return [call, memory](Context& context) { layer_norm(call, context); };
          }};
}

}  // namespace mxvideo::kernels
