// Samples of products with dense weights: fewer rows, and of many rows fewer outputs.
#include <algorithm>

#include "kernels/common/epilogue_workload.h"
#include "kernels/matmul/matmul.h"

namespace mxvideo::kernels {
namespace {

// With fewer rows than this reading the weights counts, so that all of them take part.
constexpr int64_t kManyRows = 64;
constexpr int64_t kColumns = 2048;

Work work_of(const MatmulArgs& args) {
  const auto m = static_cast<double>(args.m), n = static_cast<double>(args.n);
  const auto k = static_cast<double>(args.k);
  return {.flops = 2 * m * n * k,
          .bytes = 4 * m * (n + k) + n * k * static_cast<double>(dtype_size(args.weight_dtype)) +
                   epilogue_bytes(args.epilogue, args.m, args.n)};
}

}  // namespace

Workload workload(const MatmulArgs& args) {
  MatmulArgs sample = args;
  sample.m = std::min(args.m, kSampleRows);
  if (args.m > kManyRows) sample.n = std::min(args.n, kColumns);
  sample.x_stride = sample.y_stride = 0;
  return {.work = work_of(args),
          .shape = sizes_text({sample.m, sample.n, sample.k}) + " " +
                   std::string(dtype_name(args.weight_dtype)) + epilogue_name(args.epilogue),
          .sample_work = work_of(sample),
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            MatmulArgs call = sample;
            call.x = memory.floats(call.m * call.k);
            call.weight = memory.weights(call.n * call.k, call.weight_dtype);
            call.y = memory.floats(call.m * call.n);
            call.epilogue = sample_epilogue(call.epilogue, call.m, call.n, memory);
            return [call, memory](Context& context) { matmul(call, context); };
          }};
}

}  // namespace mxvideo::kernels
