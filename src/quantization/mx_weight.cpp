#include "quantization/mx_weight.h"

#include <algorithm>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/parallel.h"
#include "formats/e8m0.h"
#include "kernels/common/thread_scratch.h"
#include "kernels/quantize_mx/quantize_mx.h"

namespace mxvideo::quantization {

namespace {

using formats::kMxBlockSize;
using kernels::MxWeightPacker;
using kernels::PackedMxWeight;

constexpr int64_t kPanel = PackedMxWeight::kPanel;

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
void set_input(kernels::QuantizeMxArgs& args, const TensorView& elements, float* values) {
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
                   const kernels::Row<kernels::QuantizeMxArgs>& row,
                   const kernels::QuantizeMxArgs& to, float* values) {
  const int64_t size = dtype_size(stored.dtype);
  for (int64_t done = 0; done < count; done += kPiece) {
    const int64_t piece = std::min(kPiece, count - done);
    const std::byte* const data = stored.data + (first + done) * size;
    const int64_t after = stored.shape.count() - (first + done + piece);
    prefetch(data + piece * size, std::min(kPiece, after) * size);
    kernels::QuantizeMxArgs args = to;
    set_input(args, {.data = data, .dtype = stored.dtype, .shape = {piece}}, values);
    args.codes += done;
    args.scales += done / kMxBlockSize;
    args.m = 1;
    args.k = piece;
    row.run(args);
  }
}

// Throws, naming the first row that holds NaN or infinity.
void refuse_nan(const std::string& tensor, const PackedMxWeight& weight,
                const kernels::Context& context) {
  context.launch([&] {
    const int64_t blocks = weight.k / kMxBlockSize;
    std::vector<uint8_t> row_major(static_cast<size_t>(weight.n * (weight.k + blocks)));
    uint8_t* const scales = row_major.data() + weight.n * weight.k;
    kernels::unpack_mx_weight(weight, row_major.data(), scales);
    check_mx_scales(tensor, scales, {weight.n, blocks}, 0);
  });
  context.device().synchronize();
}

}  // namespace

kernels::PackedMxWeight quantize_and_pack(const std::string& tensor, const TensorView& stored,
                                          const formats::MxOptions& options,
                                          kernels::Context& context) {
  const int64_t n = stored.shape[0], k = stored.shape[1];
  MxWeightPacker packer(n, k, options.element, context.device());
  const auto& row = kernels::select("quantize_mx", kernels::quantize_mx_rows(),
                                    {.m = kPanel, .k = k, .options = options}, context);
  kernels::ThreadScratch scratch(context.device(), packer.panels(), scratch_floats(k));
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
  PackedMxWeight weight = packer.finish();
  if (weight.max_scale == formats::kE8m0Nan) refuse_nan(tensor, weight, context);
  return weight;
}

void quantize_weight_rows(const MxRows& rows, const formats::MxOptions& options) {
  convert_to_f32(rows.stored, rows.values);
  kernels::Context context;  // every row of the op gives the same bits: no choice to make
  kernels::quantize_mx({.x = rows.values,
                        .codes = rows.codes,
                        .scales = rows.scales,
                        .m = rows.stored.shape[0],
                        .k = rows.stored.shape[1],
                        .options = options},
                       context);
}

void check_mx_scales(const std::string& tensor, const uint8_t* scales, const Shape& shape,
                     int64_t first_row) {
  const uint8_t* end = scales + shape.count();
  const uint8_t* bad = std::find(scales, end, formats::kE8m0Nan);
  if (bad == end) return;
  const int64_t row = first_row + (bad - scales) / shape[1];
  throw Error(Code::kCorruptFile, "tensor " + tensor + ": row " + std::to_string(row) +
                                      " holds NaN or infinity; expected finite values");
}

}  // namespace mxvideo::quantization
