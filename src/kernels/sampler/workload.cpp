#include <algorithm>

#include "kernels/sampler/guidance.h"
#include "kernels/sampler/non_finite.h"
#include "kernels/sampler/unipc_step.h"

namespace mxvideo::kernels {

Workload workload(const GuidanceArgs& args) {
  const int64_t count = std::min(args.count, kSampleElements);
  return {.work = {.bytes = 12 * static_cast<double>(args.count)},
          .shape = sizes_text({count}),
          .sample_work = {.bytes = 12 * static_cast<double>(count)},
          .sample = [count](Device& device) -> SampleCall {
            SampleMemory memory(device);
            const GuidanceArgs call = {.cond = memory.floats(count),
                                       .uncond = memory.floats(count),
                                       .y = memory.floats(count),
                                       .count = count,
                                       .scale = 4};
            return [call, memory](Context& context) { guidance(call, context); };
          }};
}

Workload workload(const NonFiniteArgs& args) {
  const int64_t count = std::min(args.count, kSampleElements);
  return {.work = {.bytes = 4 * static_cast<double>(args.count)},
          .shape = sizes_text({count}),
          .sample_work = {.bytes = 4 * static_cast<double>(count)},
          .sample = [count](Device& device) -> SampleCall {
            SampleMemory memory(device);
            const NonFiniteArgs call = {
                .x = memory.floats(count), .count = count, .found = memory.indices(1)};
            return [call, memory](Context& context) { non_finite(call, context); };
          }};
}

// Reads five arrays and writes four.
Workload workload(const UniPcStepArgs& args) {
  UniPcStepArgs sample = args;
  sample.count = std::min(args.count, kSampleElements);
  return {.work = {.bytes = 36 * static_cast<double>(args.count)},
          .shape = sizes_text({sample.count, sample.predictor.order}) +
                   (args.correct ? " corrected" : ""),
          .sample_work = {.bytes = 36 * static_cast<double>(sample.count)},
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            UniPcStepArgs call = sample;
            call.v = memory.floats(call.count);
            call.x = memory.floats(call.count);
            call.last_sample = memory.floats(call.count);
            call.newer_x0 = memory.floats(call.count);
            call.older_x0 = memory.floats(call.count);
            return [call, memory](Context& context) { unipc_step(call, context); };
          }};
}

}  // namespace mxvideo::kernels
