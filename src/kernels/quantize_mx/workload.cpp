#include <algorithm>

#include "kernels/quantize_mx/quantize_mx.h"

namespace mxvideo::kernels {
namespace {

Work work_of(double elements, bool bf16) {
  return {.bytes = elements * (bf16 ? 2 : 4) + elements + elements / formats::kMxBlockSize};
}

}  // namespace

Workload workload(const QuantizeMxArgs& args) {
  const bool bf16 = args.x_bf16 != nullptr;
  const int64_t elements = args.m * args.k;
  const int64_t sample = std::min(elements, kSampleElements);
  const formats::MxOptions options = args.options;
  return {.work = work_of(static_cast<double>(elements), bf16),
          .shape = sizes_text({sample}) + (bf16 ? " bf16" : "") +
                   (options.element == formats::MxElement::kInt8 ? " int8" : ""),
          .sample_work = work_of(static_cast<double>(sample), bf16),
          .sample = [sample, bf16, options](Device& device) -> SampleCall {
            SampleMemory memory(device);
            QuantizeMxArgs call = {.codes = memory.codes(sample, 0),
                                   .scales = memory.codes(sample / formats::kMxBlockSize, 0),
                                   .m = sample / formats::kMxBlockSize,
                                   .k = formats::kMxBlockSize,
                                   .options = options};
            if (bf16) {
              const std::byte* const x = memory.weights(sample, DType::kBF16);
              call.x_bf16 = reinterpret_cast<const uint16_t*>(x);
            } else {
              call.x = memory.floats(sample);
            }
            return [call, memory](Context& context) { quantize_mx(call, context); };
          }};
}

}  // namespace mxvideo::kernels
