// Weights from files to the form of the device's products.
#include <algorithm>
#include <string>

#include "base/checked.h"
#include "base/error.h"
#include "base/parallel.h"
#include "kernels/common/thread_scratch.h"
#include "kernels/gemm_mx/ascend.h"
#include "kernels/gemm_mx/cpu/mx_panels.h"
#include "kernels/quantize_mx/quantize_mx.h"

namespace mxvideo::kernels {
namespace {

using formats::kMxBlockSize;

constexpr int64_t kPanel = MxPanels::kPanel;

// Elements that are decoded at a time: 8 KiB of floats, which stay in L1.
constexpr int64_t kPiece = 2048;
static_assert(kPiece % kMxBlockSize == 0);

// Scratch of a thread: decoded elements, then codes and scales of a panel.
int64_t scratch_floats(int64_t k) {
  const int64_t bytes = kPanel * (k + k / kMxBlockSize);
  return kPiece + ceil_div(bytes, static_cast<int64_t>(sizeof(float)));
}

// The processor does not fetch ahead across pages by itself.
void prefetch(const std::byte* data, int64_t bytes) {
  constexpr int64_t kCacheLine = 64;
  for (int64_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(data + i);
}

// Sets the input of `args` to elements as the kernel reads them: BF16 as stored, others decoded to
// `values`.
void set_input(QuantizeMxArgs& args, const TensorView& elements, float* values) {
  const bool aligned = reinterpret_cast<uintptr_t>(elements.data) % alignof(uint16_t) == 0;
  if (elements.dtype == DType::kBF16 && aligned) {
    args.x_bf16 = reinterpret_cast<const uint16_t*>(elements.data);
  } else {
    convert_to_f32(elements, values);
    args.x = values;
  }
}

// Rows are whole blocks, so that consecutive rows are one sequence of blocks.
void quantize_rows(const TensorView& stored, int64_t first, int64_t count,
                   const Row<QuantizeMxArgs>& row, const QuantizeMxArgs& to, float* values) {
  const int64_t size = dtype_size(stored.dtype);
  for (int64_t done = 0; done < count; done += kPiece) {
    const int64_t piece = std::min(kPiece, count - done);
    const std::byte* const data = stored.data + (first + done) * size;
    const int64_t after = stored.shape.count() - (first + done + piece);
    prefetch(data + piece * size, std::min(kPiece, after) * size);
    QuantizeMxArgs args = to;
    set_input(args, {.data = data, .dtype = stored.dtype, .shape = {piece}}, values);
    args.codes += done;
    args.scales += done / kMxBlockSize;
    args.m = 1;
    args.k = piece;
    row.run(args);
  }
}

MxWeightPtr pack_panels(const StoredMxWeight& stored, Context& context) {
  return std::make_unique<MxPanels>(pack_mx_panels(stored.codes, stored.scales, stored.n, stored.k,
                                                   stored.element, context.device()));
}

MxWeightPtr quantize_panels(const TensorView& stored, const formats::MxOptions& options,
                            Context& context) {
  const int64_t n = stored.shape[0], k = stored.shape[1];
  MxPanelPacker packer(n, k, options.element, context.device());
  const auto& row =
      select("quantize_mx", quantize_mx_rows(), {.m = n, .k = k, .options = options}, context);
  ThreadScratch scratch(context.memory(), packer.panels(), scratch_floats(k));
  context.launch([&] {
    parallel_for(packer.panels(), 1, [&](int64_t begin, int64_t end) {
      float* const values = scratch.take();
      auto* const codes = reinterpret_cast<uint8_t*>(values + kPiece);
      uint8_t* const scales = codes + kPanel * k;
      for (int64_t panel = begin; panel < end; ++panel) {
        quantize_rows(stored, panel * kPanel * k, packer.rows(panel) * k, row,
                      {.codes = codes, .scales = scales, .options = options}, values);
        packer.pack(panel, codes, scales);
      }
    });
  });
  context.device().synchronize();
  return std::make_unique<MxPanels>(packer.finish());
}

// What makes the weights of a kind of device.
struct Maker {
  DeviceKind device;
  MxWeightPtr (*pack)(const StoredMxWeight&, Context&);
  MxWeightPtr (*quantize)(const TensorView&, const formats::MxOptions&, Context&);
};

constexpr Maker kMakers[] = {
    {DeviceKind::kCpu, pack_panels, quantize_panels},
    {DeviceKind::kAscend, pack_mx_weight_ascend, quantize_mx_weight_ascend},
};

const Maker& maker_for(DeviceKind device) {
  const auto* const found = std::ranges::find(kMakers, device, &Maker::device);
  if (found != std::end(kMakers)) return *found;
  throw Error(Code::kUnsupported,
              std::string("device ") + device_kind_name(device) + " multiplies no MX weights");
}

}  // namespace

MxWeightPtr pack_mx_weight(const StoredMxWeight& stored, Context& context) {
  return maker_for(context.device().kind()).pack(stored, context);
}

MxWeightPtr quantize_mx_weight(const TensorView& stored, const formats::MxOptions& options,
                               Context& context) {
  return maker_for(context.device().kind()).quantize(stored, options, context);
}

}  // namespace mxvideo::kernels
