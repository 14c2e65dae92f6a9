// A comparison as JSON. Pure functions; thread-safe.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "evaluation/scheme_comparison.h"

namespace mxvideo::evaluation {

// What several of the report's numbers are made of, so that page and JSON agree.
struct SchemeSummary {
  double seconds_per_step = 0;         // median
  int64_t peak_rss_bytes = 0;          // of the process
  int64_t transformer_bytes = 0;       // weights in memory
  int64_t transformer_file_bytes = 0;  // the same as stored
  double weights_sqnr_db = 0;          // of all quantized weights together; infinite without any
  double outputs_median_sqnr_db = 0;   // of the layers
  double outputs_worst_sqnr_db = 0;
  std::string outputs_worst_layer;
};
SchemeSummary summarize(const SchemeResult& scheme);

// A number that is not finite is null: an SQNR or PSNR that is null is infinite, nothing differs.
nlohmann::ordered_json to_json(const ComparisonResult& comparison);

}  // namespace mxvideo::evaluation
