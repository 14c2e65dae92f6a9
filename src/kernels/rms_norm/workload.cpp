#include "kernels/rms_norm/rms_norm.h"

namespace mxvideo::kernels {
namespace {

Work work_of(const RmsNormArgs& args) {
  return {.bytes = 4 * static_cast<double>(args.dim) * (2 * static_cast<double>(args.rows) + 1)};
}

}  // namespace

Workload workload(const RmsNormArgs& args) {
  RmsNormArgs sample = args;
  sample.rows = sample_rows(args.rows, args.dim);
  sample.x_stride = 0;
  sample.factors = nullptr;
  sample.found_factors = nullptr;
  return {.work = work_of(args),
          .shape = sizes_text({sample.rows, sample.dim}) +
                   (args.kind == RmsNormKind::kL2 ? " l2" : "") + (args.silu ? " silu" : ""),
          .sample_work = work_of(sample),
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            RmsNormArgs call = sample;
            call.x = memory.floats(call.rows * call.dim);
            call.y = memory.floats(call.rows * call.dim);
            call.weight = memory.floats(call.dim);
            return [call, memory](Context& context) { rms_norm(call, context); };
          }};
}

}  // namespace mxvideo::kernels
