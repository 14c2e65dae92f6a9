#include "quantization/mx_offline.h"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "checkpoint/transformer_checkpoint.h"
#include "formats/mx_block.h"

namespace mxvideo::quantization {
namespace {

using checkpoint::StoredTensor;
using formats::kMxBlockSize;
using formats::MxElement;
using formats::ScaleGrid;
using formats::ScaleLayout;

ScaleGrid scale_grid(const LinearShape& shape) {
  return {.rows = shape.out_features, .columns = shape.in_features / kMxBlockSize};
}

Shape stored_scale_shape(const LinearShape& shape, ScaleLayout layout) {
  const ScaleGrid grid = scale_grid(shape);
  if (layout == ScaleLayout::kRowMajor) return {grid.rows, grid.columns};
  return {grid.padded_rows(), grid.padded_columns()};
}

void check_shape(const std::string& name, const LinearShape& shape, MxElement element) {
  if (shape.in_features % kMxBlockSize == 0) return;
  throw Error(Code::kUnsupported, "layer " + name + ": " +
                                      std::string(formats::mx_format_name(element)) +
                                      " needs in_features that are a " + "multiple of 32, got " +
                                      std::to_string(shape.in_features));
}

std::vector<checkpoint::ParameterSpec> offline_specs(const std::string& name,
                                                     const LinearShape& shape, ScaleLayout layout,
                                                     MxElement element) {
  std::vector<checkpoint::ParameterSpec> specs = linear_parameter_specs(name, shape);
  specs[0].dtypes = {checkpoint::stored_dtype(element)};
  specs.insert(specs.begin() + 1, {.name = name + ".weight_scale",
                                   .shape = stored_scale_shape(shape, layout),
                                   .dtypes = {DType::kU8, DType::kF8E8M0},
                                   .content = checkpoint::Content::kE8m0Scales});
  return specs;
}

const uint8_t* bytes_of(const StoredTensor& tensor) {
  return reinterpret_cast<const uint8_t*>(tensor.view.data);
}

// The scales of a stored layer in row-major order, where they are stored otherwise.
std::vector<uint8_t> unswizzled(const StoredTensor& stored, const LinearShape& shape) {
  const ScaleGrid grid = scale_grid(shape);
  std::vector<uint8_t> scales(static_cast<size_t>(grid.rows * grid.columns));
  formats::unswizzle_scales(grid, bytes_of(stored), scales.data());
  return scales;
}

bool is_nan_code(uint8_t code) { return (code & 0x7f) == 0x7f; }

// INT8 has no NaN.
void check_codes(const std::string& name, const LinearShape& shape, MxElement element,
                 const uint8_t* codes) {
  if (element == MxElement::kInt8) return;
  const int64_t k = shape.in_features;
  std::vector<uint8_t> bad(static_cast<size_t>(shape.out_features));
  parallel_for(shape.out_features, 16, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const uint8_t* begin = codes + row * k;
      bad[static_cast<size_t>(row)] = std::any_of(begin, begin + k, is_nan_code);
    }
  });
  const auto found = std::find(bad.begin(), bad.end(), 1);
  if (found == bad.end()) return;
  throw Error(Code::kCorruptFile, "tensor " + name + ".weight: row " +
                                      std::to_string(found - bad.begin()) + " holds NaN codes (" +
                                      std::to_string(std::count(bad.begin(), bad.end(), 1)) +
                                      " rows do); expected finite values");
}

// A layer as its file holds it: codes, scales, bias.
struct StoredLayer {
  std::span<const StoredTensor> tensors;
  ScaleLayout scale_layout;
  MxElement element;
};

// make(row-major scales) once the codes are checked.
template <class Make>
auto with_row_major_scales(const LinearMethod& layer, const StoredLayer& stored,
                           const kernels::Context& context, const Make& make) {
  std::vector<uint8_t> storage;
  const uint8_t* scales = bytes_of(stored.tensors[1]);
  if (context.device().computes()) {
    check_codes(layer.name(), layer.shape(), stored.element, bytes_of(stored.tensors[0]));
    if (stored.scale_layout != ScaleLayout::kRowMajor) {
      storage = unswizzled(stored.tensors[1], layer.shape());
      scales = storage.data();
    }
  }
  return make(scales);
}

// Decodes one row block by block; take(i, values) gets the 32 values from element i on.
template <class Take>
void decode_row(const uint8_t* codes, const uint8_t* scales, int64_t k, MxElement element,
                const Take& take) {
  std::array<float, kMxBlockSize> values;
  for (int64_t i = 0; i < k; i += kMxBlockSize) {
    formats::dequantize_mx_block(std::span<const uint8_t, kMxBlockSize>(codes + i, kMxBlockSize),
                                 scales[i / kMxBlockSize], element, values);
    take(i, values);
  }
}

// Cuts what does not fit into BF16; returns whether all of it did.
bool decode_row_to_bf16(const uint8_t* codes, const uint8_t* scales, int64_t k, MxElement element,
                        uint16_t* bf16) {
  uint32_t lost = 0;
  decode_row(codes, scales, k, element, [&](int64_t i, const auto& values) {
    for (const float value : values) {
      const auto bits = std::bit_cast<uint32_t>(value);
      bf16[i++] = static_cast<uint16_t>(bits >> 16);
      lost |= bits & 0xffff;
    }
  });
  return lost == 0;
}

void decode_row_to_f32(const uint8_t* codes, const uint8_t* scales, int64_t k, MxElement element,
                       float* f32) {
  decode_row(codes, scales, k, element, [&](int64_t i, const auto& values) {
    std::copy(values.begin(), values.end(), f32 + i);
  });
}

}  // namespace

Tensor dequantize_mx_weight(const uint8_t* codes, const uint8_t* scales, const Shape& shape,
                            MxElement element, Device& device) {
  if (device.kind() != DeviceKind::kCpu && device.computes()) {
    return dequantize_mx_weight(codes, scales, shape, element, cpu_device()).copy_to(device);
  }
  const int64_t n = shape[0], k = shape[1];
  const int64_t blocks = k / kMxBlockSize;
  Tensor narrow(DType::kBF16, {n, k}, device);
  std::vector<uint8_t> inexact(static_cast<size_t>(n));
  device.launch([&] {
    auto* const bf16 = reinterpret_cast<uint16_t*>(narrow.data());
    parallel_for(n, 1, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) {
        inexact[static_cast<size_t>(row)] =
            !decode_row_to_bf16(codes + row * k, scales + row * blocks, k, element, bf16 + row * k);
      }
    });
  });
  device.synchronize();
  if (std::find(inexact.begin(), inexact.end(), 1) == inexact.end()) return narrow;
  Tensor wide(DType::kF32, {n, k}, device);
  device.launch([&] {
    float* const values = wide.from(0);
    parallel_for(n, 1, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) {
        decode_row_to_f32(codes + row * k, scales + row * blocks, k, element, values + row * k);
      }
    });
  });
  device.synchronize();
  return wide;
}

OfflineMxLinear::OfflineMxLinear(std::string name, const LinearShape& shape,
                                 ScaleLayout scale_layout, const formats::MxOptions& activations)
    : MxLinear(std::move(name), shape, activations), scale_layout_(scale_layout) {
  check_shape(this->name(), shape, activations.element);
}

void OfflineMxLinear::create_weights(checkpoint::ParameterLoader& loader) {
  add_to(loader, offline_specs(name(), shape(), scale_layout_, options().element));
}

void OfflineMxLinear::process_weights_after_loading(std::span<const StoredTensor> tensors,
                                                    kernels::Context& context) {
  const auto pack = [&](const uint8_t* scales) {
    return kernels::pack_mx_weight({.codes = bytes_of(tensors[0]),
                                    .scales = scales,
                                    .n = shape().out_features,
                                    .k = shape().in_features,
                                    .element = options().element},
                                   context);
  };
  set_weight(
      with_row_major_scales(*this, {tensors, scale_layout_, options().element}, context, pack),
      tensors, context);
}

DequantizedMxLinear::DequantizedMxLinear(std::string name, const LinearShape& shape,
                                         ScaleLayout scale_layout, MxElement element,
                                         std::string reason)
    : UnquantizedLinear(std::move(name), shape, std::move(reason)),
      scale_layout_(scale_layout),
      element_(element) {
  check_shape(this->name(), shape, element);
}

void DequantizedMxLinear::create_weights(checkpoint::ParameterLoader& loader) {
  add_to(loader, offline_specs(name(), shape(), scale_layout_, element_));
}

void DequantizedMxLinear::process_weights_after_loading(std::span<const StoredTensor> tensors,
                                                        kernels::Context& context) {
  const auto decode = [&](const uint8_t* scales) {
    return dequantize_mx_weight(bytes_of(tensors[0]), scales,
                                {shape().out_features, shape().in_features}, element_,
                                context.device());
  };
  UnquantizedLinear::set_weight(
      with_row_major_scales(*this, {tensors, scale_layout_, element_}, context, decode),
      shape().bias ? to_f32(tensors[2].view, context.device()) : Tensor());
  note_checkpoint_bytes(tensors);
}

}  // namespace mxvideo::quantization
