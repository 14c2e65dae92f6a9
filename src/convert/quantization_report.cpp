#include "convert/quantization_report.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/parallel.h"
#include "checkpoint/quote.h"
#include "formats/e4m3.h"
#include "formats/e8m0.h"

namespace mxvideo::convert {
namespace {

using formats::kMxBlockSize;

// Independent accumulators: what the compiler can keep in vector registers without reordering. This
// file is compiled with -O3 for these loops (CMakeLists.txt).
constexpr int kLanes = 8;

struct RowStatistics {
  double signal = 0, noise = 0, worst = 0, amax = 0;
  int64_t saturated = 0, flushed = 0;
};

// The value of an E4M3 code that is no NaN: its bits are those of a float scaled by 2^-120.
inline float decode_finite_e4m3(uint32_t code) {
  return std::bit_cast<float>((code & 0x80u) << 24 | (code & 0x7fu) << 20) * 0x1p120f;
}

// Sums of a block in units of its scale, where nothing over- or underflows: lanes in fp32, blocks
// in double.
void add_block(const float* x, const uint8_t* codes, uint8_t scale_byte, RowStatistics& row) {
  const float scale = formats::decode_e8m0(scale_byte);
  const float inverse = 1 / scale;  // exact: both ends of E8M0 are fp32 subnormals at worst
  std::array<float, kLanes> signal{}, noise{}, error{}, amax{};
  std::array<int32_t, kLanes> saturated{}, flushed{};
  for (size_t first = 0; first < kMxBlockSize; first += kLanes) {
    for (size_t i = 0; i < kLanes; ++i) {
      const float value = x[first + i] * inverse;
      const uint32_t code = codes[first + i];
      const float difference = value - decode_finite_e4m3(code);
      const float magnitude = std::fabs(value);
      const float distance = std::fabs(difference);
      signal[i] += value * value;
      noise[i] += difference * difference;
      error[i] = distance > error[i] ? distance : error[i];
      amax[i] = magnitude > amax[i] ? magnitude : amax[i];
      saturated[i] += magnitude > formats::kE4m3Max ? 1 : 0;
      flushed[i] += (code & 0x7fu) == 0 && magnitude > 0 ? 1 : 0;
    }
  }
  float largest_error = 0, largest = 0;
  double block_signal = 0, block_noise = 0;
  for (size_t i = 0; i < kLanes; ++i) {
    block_signal += double{signal[i]};
    block_noise += double{noise[i]};
    largest_error = std::max(largest_error, error[i]);
    largest = std::max(largest, amax[i]);
    row.saturated += saturated[i];
    row.flushed += flushed[i];
  }
  const double unit = double{scale} * double{scale};
  row.signal += block_signal * unit;
  row.noise += block_noise * unit;
  row.amax = std::max(row.amax, double{largest} * double{scale});
  if (largest > 0) row.worst = std::max(row.worst, double{largest_error} / double{largest});
}

RowStatistics row_statistics(const float* x, const uint8_t* codes, const uint8_t* scales,
                             int64_t k) {
  RowStatistics row;
  for (int64_t block = 0; block < k / kMxBlockSize; ++block) {
    const int64_t first = block * kMxBlockSize;
    add_block(x + first, codes + first, scales[block], row);
  }
  return row;
}

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

void add_rows(const quantization::Mxfp8Rows& rows, LayerReport& report) {
  const int64_t count = rows.stored.shape[0];
  const int64_t k = rows.stored.shape[1];
  const int64_t blocks = k / kMxBlockSize;
  std::vector<RowStatistics> statistics(static_cast<size_t>(count));
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      statistics[static_cast<size_t>(r)] =
          row_statistics(rows.values + r * k, rows.codes + r * k, rows.scales + r * blocks, k);
    }
  });
  for (const RowStatistics& row : statistics) {
    report.signal += row.signal;
    report.noise += row.noise;
    report.max_relative_error = std::max(report.max_relative_error, row.worst);
    report.amax = std::max(report.amax, row.amax);
    report.saturated += row.saturated;
    report.flushed += row.flushed;
  }
  std::array<int64_t, 256> histogram{};
  for (int64_t i = 0; i < count * blocks; ++i) ++histogram[rows.scales[i]];
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
              fmt::format("{} of {} layers have an SQNR below {:g} dB: {}", bad.size(),
                          reports.size(), min_sqnr_db, checkpoint::name_list(bad)) +
                  "; nothing was committed");
}

}  // namespace mxvideo::convert
