// Weights of files in the form that the NPU multiplies by; floats are quantized there, a slice of
// rows at a time, so that the whole weight is never on the NPU in BF16.
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "formats/e8m0.h"
#include "kernels/common/npu.h"
#include "kernels/gemm_mx/ascend.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kBlock = formats::kMxBlockSize;
// Stored elements on their way to the quantizer.
constexpr int64_t kSliceBytes = int64_t{32} << 20;

int64_t padded_blocks(int64_t k) { return 2 * ceil_div(k, 2 * kBlock); }

void refuse(const char* reason) {
  if (reason != nullptr) {
    throw Error(Code::kUnsupported, std::string("device ascend: ") + reason);
  }
}

std::unique_ptr<NpuMxWeight> make_weight(int64_t n, int64_t k, Context& context) {
  auto weight = std::make_unique<NpuMxWeight>();
  weight->n = n;
  weight->k = k;
  weight->codes = Tensor(DType::kU8, {n, k}, context.device());
  weight->scales = Tensor(DType::kU8, {n, padded_blocks(k)}, context.device());
  return weight;
}

const std::byte* bytes(const void* data) { return static_cast<const std::byte*>(data); }

// Rows of scales, as `from` blocks a row, to `to` blocks a row; what is added is zero.
std::vector<uint8_t> with_row_length(const uint8_t* scales, int64_t rows, int64_t from,
                                     int64_t to) {
  std::vector<uint8_t> result(static_cast<size_t>(rows * to));
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(scales + row * from, std::min(from, to), result.data() + row * to);
  }
  return result;
}

std::vector<uint8_t> downloaded(const Tensor& tensor) {
  std::vector<uint8_t> values(static_cast<size_t>(tensor.bytes()));
  tensor.device().download(reinterpret_cast<std::byte*>(values.data()), tensor.data(),
                           tensor.bytes());
  return values;
}

}  // namespace

void NpuMxWeight::unpack(uint8_t* row_major_codes, uint8_t* row_major_scales) const {
  codes.device().download(reinterpret_cast<std::byte*>(row_major_codes), codes.data(),
                          codes.bytes());
  const std::vector<uint8_t> rows =
      with_row_length(downloaded(scales).data(), n, padded_blocks(k), k / kBlock);
  std::copy(rows.begin(), rows.end(), row_major_scales);
}

MxWeightPtr pack_mx_weight_ascend(const StoredMxWeight& stored, Context& context) {
  if (stored.element != formats::MxElement::kE4m3) {
    refuse("the NPU multiplies MXFP8, not MXINT8");
  }
  auto weight = make_weight(stored.n, stored.k, context);
  Device& device = context.device();
  if (!device.computes()) return weight;
  device.upload(weight->codes.data(), bytes(stored.codes), weight->codes.bytes());
  const std::vector<uint8_t> padded =
      with_row_length(stored.scales, stored.n, stored.k / kBlock, padded_blocks(stored.k));
  device.upload(weight->scales.data(), bytes(padded.data()), weight->scales.bytes());
  return weight;
}

namespace {

// Two slices of a stored weight on the NPU: one is quantized while the other arrives.
class Slices {
 public:
  Slices(DType type, int64_t rows, int64_t k, ascend::AscendDevice& device)
      : device_(device), copies_(device.copy_stream()) {
    for (Slot& slot : slots_) slot.tensor = Tensor(type, {rows, k}, device);
    copies_.wait(device_.record());  // the memory may be in use
  }
  // The next slice, with these bytes: for what is launched until done().
  const std::byte* arrive(const std::byte* source, int64_t bytes) {
    Slot& slot = slots_[turn_ % 2];
    if (slot.free != nullptr) copies_.wait(slot.free);
    copies_.upload(slot.tensor.data(), source, bytes);
    device_.wait(copies_.record());
    return slot.tensor.data();
  }
  void done() { slots_[turn_++ % 2].free = device_.record(); }

 private:
  struct Slot {
    Tensor tensor;
    std::shared_ptr<Event> free;
  };
  ascend::AscendDevice& device_;
  Stream& copies_;
  std::array<Slot, 2> slots_;
  size_t turn_ = 0;
};

}  // namespace

MxWeightPtr quantize_mx_weight_ascend(const TensorView& stored, const formats::MxOptions& options,
                                      Context& context) {
  refuse(npu_rejects(options));
  const int64_t n = stored.shape[0], k = stored.shape[1];
  auto weight = make_weight(n, k, context);
  const bool as_stored = stored.dtype == DType::kBF16 || stored.dtype == DType::kF32;
  const DType type = as_stored ? stored.dtype : DType::kF32;
  const int64_t row_bytes = k * dtype_size(type);
  const int64_t rows = std::clamp<int64_t>(kSliceBytes / row_bytes, 1, n);
  if (!context.device().computes()) {
    const Tensor slices(type, {2 * rows, k}, context.device());  // for the peak
    return weight;
  }
  Slices slices(type, rows, k, static_cast<ascend::AscendDevice&>(context.device()));
  std::vector<float> decoded(as_stored ? 0 : static_cast<size_t>(rows * k));
  auto* const codes = reinterpret_cast<uint8_t*>(weight->codes.data());
  auto* const scales = reinterpret_cast<uint8_t*>(weight->scales.data());
  const Npu npu(context);
  for (int64_t first = 0; first < n; first += rows) {
    const int64_t count = std::min(rows, n - first);
    const std::byte* source = stored.data + first * k * dtype_size(stored.dtype);
    if (!as_stored) {
      convert_to_f32({.data = source, .dtype = stored.dtype, .shape = {count, k}}, decoded.data());
      source = bytes(decoded.data());
    }
    const std::byte* slice = slices.arrive(source, count * row_bytes);
    npu.quantize_padded({slice, acl_type(type), {count, k}}, codes + first * k,
                        scales + first * padded_blocks(k), options);
    slices.done();
  }
  // A block of NaN or infinity has the scale 255.
  const std::vector<uint8_t> found = downloaded(weight->scales);
  weight->nan = std::find(found.begin(), found.end(), formats::kE8m0Nan) != found.end();
  return weight;
}

}  // namespace mxvideo::kernels
