#include "kernels/common/npu.h"

#include "base/checked.h"
#include "base/error.h"

namespace mxvideo::kernels {
namespace {

const ascend::CannFunctions kNothing;

constexpr int64_t kPair = 2 * formats::kMxBlockSize;

ascend::AscendDevice* npu_of(const Context& context) {
  Device& device = context.device();
  return device.computes() ? &static_cast<ascend::AscendDevice&>(device) : nullptr;
}

DType dtype_of(AclType type) {
  switch (type) {
    case AclType::kFloat:
      return DType::kF32;
    case AclType::kBf16:
      return DType::kBF16;
    case AclType::kInt32:
      return DType::kI32;
    default:
      return DType::kU8;
  }
}

}  // namespace

AclType acl_type(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return AclType::kFloat;
    case DType::kBF16:
      return AclType::kBf16;
    case DType::kF16:
      return AclType::kFloat16;
    case DType::kI32:
      return AclType::kInt32;
    case DType::kU8:
      return AclType::kUint8;
    default:
      check(false, "a type that the NPU's rows know");
      return AclType::kUint8;
  }
}

Npu::Npu(Context& context)
    : context_(context),
      device_(npu_of(context)),
      cann_(device_ != nullptr ? &device_->cann() : &kNothing) {}

void* Npu::memory(AclType type, int64_t count) {
  check(type != AclType::kFloat16 && type != AclType::kInt64, "types of working memory");
  return temporaries_.emplace_back(context_.tensor({count}, dtype_of(type))).data();
}

AclView Npu::temporary(AclType type, std::initializer_list<int64_t> dims) {
  AclView view(nullptr, type, dims);
  view.data = memory(type, view.count());
  return view;
}

AclView Npu::temporary_like(const AclView& x, AclType type) {
  const std::span<const int64_t> dims(x.dims.data(), static_cast<size_t>(x.rank));
  return {memory(type, x.count()), type, dims};
}

AclView Npu::constants(std::span<const float> values) {
  const auto count = static_cast<int64_t>(values.size());
  AclView view = temporary(AclType::kFloat, {count});
  if (device_ != nullptr) {
    device_->upload(static_cast<std::byte*>(view.data),
                    reinterpret_cast<const std::byte*>(values.data()), count * 4);
  }
  return view;
}

AclView Npu::constants(std::span<const int32_t> values) {
  const auto count = static_cast<int64_t>(values.size());
  AclView view = temporary(AclType::kInt32, {count});
  if (device_ != nullptr) {
    device_->upload(static_cast<std::byte*>(view.data),
                    reinterpret_cast<const std::byte*>(values.data()), count * 4);
  }
  return view;
}

void Npu::copy(const AclView& from, const AclView& to) const {
  if (to.count() == 0) return;
  run(cann().InplaceCopy, out(to), in(from));
}

void Npu::clear(const AclView& dense) const {
  if (device_ == nullptr) return;
  device_->clear(static_cast<std::byte*>(dense.data), dense.count() * type_size(dense.type));
}

AclView Npu::as(const AclView& x, AclType type) {
  if (x.type == type) return x;
  const AclView converted = temporary_like(x, type);
  run(cann().Cast, in(x), type, out(converted));
  return converted;
}

void Npu::add(const AclView& x, const AclView& z, const AclView& y, double alpha) const {
  run(cann().Add, in(x), in(z), scalar(alpha), out(y));
}

void Npu::quantize_padded(const AclView& x, const uint8_t* codes, const uint8_t* scales,
                          const formats::MxOptions& options) const {
  const int64_t m = x.dims[0], k = x.dims[1];
  const int64_t algorithm = options.scale_rule == formats::ScaleRule::kRceil ? 1 : 0;
  run(cann().DynamicMxQuant, in(x), -1, "rint", AclType::kE4m3, formats::kMxBlockSize, algorithm,
      out(AclView(codes, AclType::kE4m3, {m, k})),
      out(AclView(scales, AclType::kE8m0, {m, ceil_div(k, kPair), 2})));
}

void Npu::quantize(const AclView& x, const MxOutput& to) {
  const int64_t m = x.dims[0], k = x.dims[1], blocks = k / formats::kMxBlockSize;
  if (k % kPair == 0) return quantize_padded(x, to.codes, to.scales, to.options);
  const int64_t padded = 2 * ceil_div(k, kPair);
  const auto* scales = static_cast<const uint8_t*>(memory(AclType::kE8m0, m * padded));
  quantize_padded(x, to.codes, scales, to.options);
  const int64_t dims[] = {m, blocks};
  const int64_t strides[] = {padded, 1};
  copy({scales, AclType::kUint8, dims, strides}, {to.scales.get(), AclType::kUint8, {m, blocks}});
}

AclView Npu::paired_scales(const uint8_t* scales, int64_t rows, int64_t k) {
  const int64_t pairs = ceil_div(k, kPair), blocks = k / formats::kMxBlockSize;
  AclView paired(scales, AclType::kE8m0, {rows, pairs, 2});
  if (k % kPair == 0) return paired;
  paired.data = memory(AclType::kE8m0, paired.count());
  clear(paired);
  const int64_t dims[] = {rows, blocks};
  const int64_t strides[] = {2 * pairs, 1};
  copy({scales, AclType::kUint8, {rows, blocks}}, {paired.data, AclType::kUint8, dims, strides});
  return paired;
}

const char* npu_rejects(const formats::MxOptions& options) noexcept {
  using formats::ScaleRule;
  if (options.element != formats::MxElement::kE4m3) return "the NPU multiplies MXFP8, not MXINT8";
  if (options.scale_rule != ScaleRule::kRceil && options.scale_rule != ScaleRule::kFloor) {
    return "the NPU quantizes by the scale rules rceil and floor only";
  }
  if (options.rounding != formats::ElementRounding::kNearestEven) {
    return "the NPU rounds elements to nearest only";
  }
  if (options.flush_tiny_blocks && options.scale_rule == ScaleRule::kFloor) {
    return "CANN's definition of its quantizer does not flush tiny blocks";
  }
  return nullptr;
}

}  // namespace mxvideo::kernels
