// Samples of products with MX weights: fewer rows, and of many rows fewer outputs. Their results
// are fp32; quantizing them is work of quantize_mx, which gemm_mx() notes beside its own.
#include <algorithm>
#include <memory>

#include "kernels/common/epilogue_workload.h"
#include "kernels/gemm_mx/gemm_mx.h"

namespace mxvideo::kernels {
namespace {

// With fewer rows than this reading the weights counts, so that all of them take part.
constexpr int64_t kManyRows = 64;
constexpr int64_t kColumns = 2048;
// Blocks of ordinary values, which every row takes: 64 in either element, scale 1.
constexpr uint8_t kE4m3Code = 0x68, kInt8Code = 64, kScale = 127;

double mx_bytes(double rows, double k) { return rows * (k + k / formats::kMxBlockSize); }

Work work_of(const GemmMxArgs& args, int64_t outputs) {
  const auto m = static_cast<double>(args.m), n = static_cast<double>(outputs);
  const auto k = static_cast<double>(args.weight->k);
  return {.flops = 2 * m * n * k,
          .bytes = mx_bytes(m + n, k) + 4 * m * n + epilogue_bytes(args.epilogue, args.m, outputs)};
}

struct SampleShape {
  int64_t m = 0, n = 0, k = 0;
  formats::MxElement element = formats::MxElement::kE4m3;
  EpilogueArgs epilogue;
};

SampleCall make_call(const SampleShape& shape, Device& device) {
  const uint8_t code = shape.element == formats::MxElement::kInt8 ? kInt8Code : kE4m3Code;
  const int64_t blocks = shape.k / formats::kMxBlockSize;
  SampleMemory memory(device);
  Context packing({}, device);
  const std::vector<uint8_t> codes(static_cast<size_t>(shape.n * shape.k), code);
  const std::vector<uint8_t> scales(static_cast<size_t>(shape.n * blocks), kScale);
  const std::shared_ptr<const MxWeight> weight = pack_mx_weight({.codes = codes.data(),
                                                                 .scales = scales.data(),
                                                                 .n = shape.n,
                                                                 .k = shape.k,
                                                                 .element = shape.element},
                                                                packing);
  const GemmMxArgs call = {.x_codes = memory.codes(shape.m * shape.k, code),
                           .x_scales = memory.codes(shape.m * blocks, kScale),
                           .weight = weight.get(),
                           .y = memory.floats(shape.m * shape.n),
                           .m = shape.m,
                           .epilogue = sample_epilogue(shape.epilogue, shape.m, shape.n, memory)};
  return [call, memory, weight](Context& context) { gemm_mx(call, context); };
}

}  // namespace

Workload workload(const GemmMxArgs& args) {
  const SampleShape sample = {
      .m = std::min(args.m, kSampleRows),
      .n = args.m > kManyRows ? std::min(args.weight->n, kColumns) : args.weight->n,
      .k = args.weight->k,
      .element = args.weight->element,
      .epilogue = args.epilogue};
  GemmMxArgs sampled = args;
  sampled.m = sample.m;
  const bool int8 = sample.element == formats::MxElement::kInt8;
  return {.work = work_of(args, args.weight->n),
          .shape = sizes_text({sample.m, sample.n, sample.k}) + (int8 ? " int8" : "") +
                   epilogue_name(args.epilogue),
          .sample_work = work_of(sampled, sample.n),
          .sample = [sample](Device& device) { return make_call(sample, device); }};
}

}  // namespace mxvideo::kernels
