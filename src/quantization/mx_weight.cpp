#include "quantization/mx_weight.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "formats/e8m0.h"
#include "kernels/quantize_mx/quantize_mx.h"

namespace mxvideo::quantization {

namespace {

using formats::kMxBlockSize;

// Throws, naming the first row that holds NaN or infinity.
void refuse_nan(const std::string& tensor, const kernels::MxWeight& weight) {
  const int64_t blocks = weight.k / kMxBlockSize;
  std::vector<uint8_t> codes(static_cast<size_t>(weight.n * weight.k));
  std::vector<uint8_t> scales(static_cast<size_t>(weight.n * blocks));
  weight.unpack(codes.data(), scales.data());
  check_mx_scales(tensor, scales.data(), {weight.n, blocks}, 0);
}

}  // namespace

kernels::MxWeightPtr quantize_and_pack(const std::string& tensor, const TensorView& stored,
                                       const formats::MxOptions& options,
                                       kernels::Context& context) {
  kernels::MxWeightPtr weight = kernels::quantize_mx_weight(stored, options, context);
  if (weight->has_nan()) refuse_nan(tensor, *weight);
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
