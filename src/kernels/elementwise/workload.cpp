#include <algorithm>

#include "kernels/elementwise/elementwise.h"

namespace mxvideo::kernels {
namespace {

bool is_binary(ElementwiseOp op) {
  return op != ElementwiseOp::kSilu && op != ElementwiseOp::kGeluTanh;
}

const char* name_of(ElementwiseOp op) {
  switch (op) {
    case ElementwiseOp::kSilu:
      return " silu";
    case ElementwiseOp::kGeluTanh:
      return " gelu";
    case ElementwiseOp::kGeluTanhMultiply:
      return " gelu_multiply";
    case ElementwiseOp::kAdd:
      return " add";
    case ElementwiseOp::kScaledAdd:
      return " scaled_add";
  }
  return "";
}

Work work_of(const ElementwiseArgs& args) {
  return {.bytes = static_cast<double>(args.count) * (is_binary(args.op) ? 12 : 8)};
}

}  // namespace

Workload workload(const ElementwiseArgs& args) {
  const ElementwiseArgs sample = {
      .op = args.op, .count = std::min(args.count, kSampleElements), .alpha = args.alpha};
  return {.work = work_of(args),
          .shape = sizes_text({sample.count}) + name_of(args.op),
          .sample_work = work_of(sample),
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            ElementwiseArgs call = sample;
            call.x = memory.floats(call.count);
            if (is_binary(call.op)) call.z = memory.floats(call.count);
            call.y = memory.floats(call.count);
            return [call, memory](Context& context) { elementwise(call, context); };
          }};
}

}  // namespace mxvideo::kernels
