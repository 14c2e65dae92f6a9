#include "kernels/rope/rope.h"

namespace mxvideo::kernels {
namespace {

// In place, so read and written, with a row of cosines and sines as wide as one head.
Work work_of(const RopeArgs& args) {
  return {.bytes = 4 * static_cast<double>(args.rows) *
                   static_cast<double>((2 * args.heads + 1) * args.head_dim)};
}

}  // namespace

Workload workload(const RopeArgs& args) {
  RopeArgs sample = args;
  sample.rows = sample_rows(args.rows, args.heads * args.head_dim);
  return {.work = work_of(args),
          .shape = sizes_text({sample.rows, sample.heads, sample.head_dim}),
          .sample_work = work_of(sample),
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            RopeArgs call = sample;
            call.x = memory.floats(call.rows * call.heads * call.head_dim);
            call.cos = memory.floats(call.rows * call.head_dim / 2);
            call.sin = memory.floats(call.rows * call.head_dim / 2);
            return [call, memory](Context& context) { rope(call, context); };
          }};
}

}  // namespace mxvideo::kernels
