#include "convert/quantization/row_quantizer.h"

#include <algorithm>
#include <vector>

#include "base/parallel.h"
#include "quantization/mx_weight.h"

namespace mxvideo::convert {
namespace {

constexpr int64_t kValuesPerSlice = 1 << 15;  // 128 KB of decoded values, inside of an L2 cache

}  // namespace

void quantize_and_measure(const QuantizedRows& rows, const formats::MxOptions& options,
                          LayerReport& report) {
  const int64_t count = rows.stored.shape[0], k = rows.stored.shape[1];
  const int64_t blocks = k / formats::kMxBlockSize;
  const int64_t row_bytes = k * dtype_size(rows.stored.dtype);
  const int64_t slice = std::max(int64_t{1}, kValuesPerSlice / k);
  std::vector<RowStatistics> statistics(static_cast<size_t>(count));
  parallel_for_on_new_threads(count, slice, [&](int64_t begin, int64_t end) {
    std::vector<float> values(static_cast<size_t>(slice * k));
    for (int64_t first = begin; first < end; first += slice) {
      const int64_t taken = std::min(slice, end - first);
      uint8_t* const codes = rows.codes + first * k;
      uint8_t* const scales = rows.scales + first * blocks;
      quantization::quantize_weight_rows({.stored = {.data = rows.stored.data + first * row_bytes,
                                                     .dtype = rows.stored.dtype,
                                                     .shape = {taken, k}},
                                          .values = values.data(),
                                          .codes = codes,
                                          .scales = scales},
                                         options);
      for (int64_t r = 0; r < taken; ++r) {
        statistics[static_cast<size_t>(first + r)] = row_statistics(
            values.data() + r * k, codes + r * k, scales + r * blocks, k, options.element);
      }
    }
  });
  quantization::check_mx_scales(report.layer + ".weight", rows.scales, {count, blocks},
                                report.rows);
  add_rows(statistics, rows.scales, k, report);
}

}  // namespace mxvideo::convert
