#include <algorithm>

#include "kernels/tables/rope_tables.h"
#include "kernels/tables/time_sinusoid.h"

namespace mxvideo::kernels {

Workload workload(const RopeTablesArgs& args) {
  const auto bytes_of = [](const RopeTablesArgs& a) {
    return 4 * static_cast<double>(a.frames * a.rows * a.columns * a.head_dim);
  };
  RopeTablesArgs sample = args;
  sample.frames = sample_rows(args.frames, args.rows * args.columns * args.head_dim);
  return {.work = {.bytes = bytes_of(args)},
          .shape = sizes_text({sample.frames, sample.rows, sample.columns, sample.head_dim}),
          .sample_work = {.bytes = bytes_of(sample)},
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            RopeTablesArgs call = sample;
            const int64_t tokens = call.frames * call.rows * call.columns;
            call.cos = memory.floats(tokens * call.head_dim / 2);
            call.sin = memory.floats(tokens * call.head_dim / 2);
            return [call, memory](Context& context) { rope_tables(call, context); };
          }};
}

Workload workload(const TimeSinusoidArgs& args) {
  const auto count = static_cast<int64_t>(args.timesteps.size());
  const Work work = {.bytes = 4 * static_cast<double>(count * (args.dim + 1))};
  return {.work = work,
          .shape = sizes_text({count, args.dim}),
          .sample_work = work,
          .sample = [args](Device& device) -> SampleCall {
            SampleMemory memory(device);
            TimeSinusoidArgs call = args;
            call.y = memory.floats(std::ssize(call.timesteps) * call.dim);
            return [call, memory](Context& context) { time_sinusoid(call, context); };
          }};
}

}  // namespace mxvideo::kernels
