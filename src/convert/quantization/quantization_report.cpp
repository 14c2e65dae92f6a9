#include "convert/quantization/quantization_report.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text/format.h"
#include "base/text/quote.h"
#include "formats/mx_block.h"

namespace mxvideo::convert {
namespace {

// null stands for infinity, which JSON lacks.
nlohmann::ordered_json sqnr_json(double db) {
  if (std::isinf(db)) return nullptr;
  return db;
}

std::string sqnr_text(double db) { return std::isinf(db) ? "exact" : fmt::format("{:.2f}", db); }

}  // namespace

double LayerReport::sqnr_db() const {
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / noise);
}

void add_rows(std::span<const RowStatistics> statistics, const uint8_t* scales, int64_t k,
              LayerReport& report) {
  const auto count = static_cast<int64_t>(statistics.size());
  const int64_t blocks = k / formats::kMxBlockSize;
  for (const RowStatistics& row : statistics) {
    report.signal += row.signal;
    report.noise += row.noise;
    report.max_relative_error = std::max(report.max_relative_error, row.worst);
    report.amax = std::max(report.amax, row.amax);
    report.saturated += row.saturated;
    report.flushed += row.flushed;
  }
  std::array<int64_t, 256> histogram{};
  for (int64_t i = 0; i < count * blocks; ++i) ++histogram[scales[i]];
  for (int byte = 0; byte < 256; ++byte) {
    const int64_t found = histogram[static_cast<size_t>(byte)];
    if (found > 0) report.scale_exponents[byte - 127] += found;
  }
  report.rows += count;
  report.columns = k;
}

nlohmann::ordered_json to_json(const LayerReport& report) {
  nlohmann::ordered_json exponents = nlohmann::ordered_json::object();
  for (const auto& [exponent, blocks] : report.scale_exponents) {
    exponents[std::to_string(exponent)] = blocks;
  }
  return {{"layer", report.layer},
          {"rows", report.rows},
          {"columns", report.columns},
          {"sqnr_db", sqnr_json(report.sqnr_db())},
          {"max_relative_error", report.max_relative_error},
          {"amax", report.amax},
          {"saturated", report.saturated},
          {"flushed", report.flushed},
          {"scale_exponents", std::move(exponents)},
          {"signal", report.signal},
          {"noise", report.noise}};
}

LayerReport layer_report_from_json(const nlohmann::ordered_json& json, const std::string& origin) {
  try {
    LayerReport report{.layer = json.at("layer").get<std::string>(),
                       .rows = json.at("rows").get<int64_t>(),
                       .columns = json.at("columns").get<int64_t>(),
                       .signal = json.at("signal").get<double>(),
                       .noise = json.at("noise").get<double>(),
                       .max_relative_error = json.at("max_relative_error").get<double>(),
                       .amax = json.at("amax").get<double>(),
                       .saturated = json.at("saturated").get<int64_t>(),
                       .flushed = json.at("flushed").get<int64_t>(),
                       .scale_exponents = {}};
    for (const auto& [exponent, blocks] : json.at("scale_exponents").items()) {
      report.scale_exponents[std::stoi(exponent)] = blocks.get<int64_t>();
    }
    return report;
  } catch (const std::exception& error) {  // of nlohmann_json and std::stoi
    throw Error(Code::kCorruptFile, origin + ": no layer report: " + error.what());
  }
}

nlohmann::ordered_json total_json(const std::vector<LayerReport>& reports) {
  LayerReport total;
  int64_t elements = 0;
  const LayerReport* worst = nullptr;
  for (const LayerReport& report : reports) {
    total.signal += report.signal;
    total.noise += report.noise;
    total.max_relative_error = std::max(total.max_relative_error, report.max_relative_error);
    total.amax = std::max(total.amax, report.amax);
    total.saturated += report.saturated;
    total.flushed += report.flushed;
    for (const auto& [exponent, blocks] : report.scale_exponents) {
      total.scale_exponents[exponent] += blocks;
    }
    elements += report.rows * report.columns;
    if (worst == nullptr || report.sqnr_db() < worst->sqnr_db()) worst = &report;
  }
  nlohmann::ordered_json json = to_json(total);
  for (const char* key : {"layer", "rows", "columns", "signal", "noise"}) json.erase(key);
  json["layers"] = reports.size();
  json["elements"] = elements;
  if (worst != nullptr) {
    json["worst_layer"] = worst->layer;
    json["worst_sqnr_db"] = sqnr_json(worst->sqnr_db());
  }
  return json;
}

std::string report_table(const std::vector<LayerReport>& reports) {
  std::string table =
      fmt::format("{:<28} {:>13} {:>8} {:>8} {:>10} {:>9} {:>8}  {}\n", "layer", "shape", "SQNR dB",
                  "max err", "amax", "saturated", "flushed", "scales");
  for (const LayerReport& report : reports) {
    const auto& exponents = report.scale_exponents;
    const std::string range =
        exponents.empty()
            ? ""
            : fmt::format("2^{} .. 2^{}", exponents.begin()->first, exponents.rbegin()->first);
    table += fmt::format("{:<28} {:>13} {:>8} {:>8.5f} {:>10.4g} {:>9} {:>8}  {}\n", report.layer,
                         fmt::format("{}x{}", report.rows, report.columns),
                         sqnr_text(report.sqnr_db()), report.max_relative_error, report.amax,
                         report.saturated, report.flushed, range);
  }
  return table;
}

void check_min_sqnr(const std::vector<LayerReport>& reports, double min_sqnr_db) {
  std::vector<std::string> bad;
  for (const LayerReport& report : reports) {
    // A layer without any signal has no ratio.
    if (report.signal > 0 && report.sqnr_db() < min_sqnr_db) {
      bad.push_back(fmt::format("{} ({:.2f} dB)", report.layer, report.sqnr_db()));
    }
  }
  if (bad.empty()) return;
  throw Error(Code::kMismatch,
              fmt::format("{} of {} {} an SQNR below {:g} dB: {}", bad.size(),
                          count_of(std::ssize(reports), "layer"), bad.size() == 1 ? "has" : "have",
                          min_sqnr_db, name_list(bad)) +
                  "; nothing was committed");
}

}  // namespace mxvideo::convert
