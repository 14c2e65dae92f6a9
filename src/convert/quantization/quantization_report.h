// How far a quantized weight lies from its original: per layer and as JSON or a table.
//
// The statistics of rows (convert/quantization/row_statistics.h) are combined in their order, so
// that a report has the same bits for any number of threads. Errors of a layer are measured against
// the decoded source weights.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "convert/quantization/row_statistics.h"

namespace mxvideo::convert {

struct LayerReport {
  std::string layer;  // canonical name
  int64_t rows = 0, columns = 0;
  double signal = 0;  // sum of x²
  double noise = 0;   // sum of (x − q)²
  // Largest |x − q| of any element, divided by the largest |x| of its block of 32.
  double max_relative_error = 0;
  double amax = 0;
  int64_t saturated = 0;                   // elements with |x| / scale > 448, clamped
  int64_t flushed = 0;                     // elements that were not zero and became zero
  std::map<int, int64_t> scale_exponents;  // log2 of the scale -> blocks

  // 10·log10(signal / noise); infinite when nothing was lost.
  double sqnr_db() const;
};

// Adds consecutive rows of one layer: k elements and k/32 scales each.
void add_rows(std::span<const RowStatistics> statistics, const uint8_t* scales, int64_t k,
              LayerReport& report);

// null stands for an infinite SQNR.
nlohmann::ordered_json to_json(const LayerReport& report);
// Of what to_json() wrote. Throws Code::kCorruptFile.
LayerReport layer_report_from_json(const nlohmann::ordered_json& json, const std::string& origin);

// Sums over layers, and the layer with the lowest SQNR. "layers" is 0 for an empty list.
nlohmann::ordered_json total_json(const std::vector<LayerReport>& reports);

// One line per layer below a header.
std::string report_table(const std::vector<LayerReport>& reports);

// Throws Code::kMismatch naming the layers of less than `min_sqnr_db`.
void check_min_sqnr(const std::vector<LayerReport>& reports, double min_sqnr_db);

}  // namespace mxvideo::convert
