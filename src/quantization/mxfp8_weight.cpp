#include "quantization/mxfp8_weight.h"

#include <algorithm>

#include "base/error.h"
#include "formats/e8m0.h"
#include "kernels/quantize_mxfp8/quantize_mxfp8.h"

namespace mxvideo::quantization {

void quantize_weight_rows(const Mxfp8Rows& rows, const formats::MxOptions& options) {
  convert_to_f32(rows.stored, rows.values);
  kernels::Context context;  // every row of the op gives the same bits: no choice to make
  kernels::quantize_mxfp8({.x = rows.values,
                           .codes = rows.codes,
                           .scales = rows.scales,
                           .m = rows.stored.shape[0],
                           .k = rows.stored.shape[1],
                           .options = options},
                          context);
}

void check_mxfp8_scales(const std::string& tensor, const uint8_t* scales, const Shape& shape,
                        int64_t first_row) {
  const uint8_t* end = scales + shape.count();
  const uint8_t* bad = std::find(scales, end, formats::kE8m0Nan);
  if (bad == end) return;
  const int64_t row = first_row + (bad - scales) / shape[1];
  throw Error(Code::kCorruptFile, "tensor " + tensor + ": row " + std::to_string(row) +
                                      " holds NaN or infinity; expected finite values");
}

}  // namespace mxvideo::quantization
