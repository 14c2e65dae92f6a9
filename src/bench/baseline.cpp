#include "bench/baseline.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/text/field.h"

namespace mxvideo::bench {
namespace {

using Json = nlohmann::ordered_json;
using Verdict = RatioComparison::Verdict;

// What a row measured; `threads` belongs to the machine.
constexpr std::array kNameFields = {"op", "layer", "scheme", "compute", "attention", "kernel"};
constexpr std::array kSizeFields = {"m",      "k",        "n",      "q_length", "kv_length",
                                    "heads",  "head_dim", "layers", "tokens",   "text_rows",
                                    "frames", "height",   "width"};
constexpr std::array kMachineFields = {"cpu", "features", "threads"};

using Ratios = std::map<std::pair<std::string, std::string>, double>;  // (key, field)

std::string key_of(const Json& row) {
  std::string key;
  const auto add = [&](const std::string& word) { key += (key.empty() ? "" : " ") + word; };
  for (const char* field : kNameFields) {
    if (row.contains(field)) add(row[field].get<std::string>());
  }
  for (const char* field : kSizeFields) {
    if (row.contains(field)) add(std::string(field) + "=" + row[field].dump());
  }
  return key;
}

bool is_ratio(const std::string& field) {
  return field.starts_with("ratio_") || field == "roof_fraction";
}

void add_ratios(const Json& result, Ratios& ratios) {
  for (const Json& row : result.at("rows")) {
    const std::string key = key_of(row);
    for (const auto& [field, value] : row.items()) {
      if (!is_ratio(field) || value.is_null()) continue;
      if (!ratios.emplace(std::pair(key, field), value.get<double>()).second) {
        throw Error(Code::kInvalidArgument, "bench results: " + key + " is there twice");
      }
    }
  }
}

std::string machine_of(const Json& json) {
  std::string text;
  for (const char* field : kMachineFields) {
    text += (text.empty() ? "" : ", ") + std::string(field) + " " + json.at(field).dump();
  }
  return text;
}

// Runs `body` on documents that may lack fields or hold values of other types.
template <class Body>
auto reading(const Body& body) try {
  return body();
} catch (const nlohmann::json::exception& error) {
  throw Error(Code::kCorruptFile, std::string("bench results: expected a baseline and what mxvideo "
                                              "bench " +
                                              field("json") + " prints, got other JSON: ") +
                                      error.what());
}

Ratios ratios_of(const std::vector<Json>& results) {
  if (results.empty()) throw Error(Code::kInvalidArgument, "bench results: expected a file");
  Ratios ratios;
  const std::string machine = machine_of(results.front().at("machine"));
  for (const Json& result : results) {
    if (machine_of(result.at("machine")) != machine) {
      throw Error(Code::kInvalidArgument, "bench results: expected one machine, got " + machine +
                                              " and " + machine_of(result.at("machine")));
    }
    add_ratios(result, ratios);
  }
  return ratios;
}

RatioComparison compare(const std::pair<std::string, std::string>& name, double expected,
                        const Ratios& measured, double tolerance) {
  RatioComparison comparison{.key = name.first, .field = name.second, .expected = expected};
  const auto found = measured.find(name);
  if (found == measured.end()) {
    comparison.verdict = Verdict::kNotMeasured;
    return comparison;
  }
  comparison.measured = found->second;
  if (found->second < expected * (1 - tolerance)) {
    comparison.verdict = Verdict::kRegression;
  } else if (found->second > expected * (1 + tolerance)) {
    comparison.verdict = Verdict::kFaster;
  }
  return comparison;
}

}  // namespace

const char* verdict_name(Verdict verdict) {
  constexpr std::array kNames = {"good", "faster", "REGRESSION", "NOT MEASURED", "new"};
  return kNames[static_cast<size_t>(verdict)];
}

Json make_baseline(const std::vector<Json>& results, double tolerance) {
  return reading([&] {
    const Ratios ratios = ratios_of(results);
    Json baseline;
    for (const char* field : kMachineFields) {
      baseline[field] = results.front().at("machine").at(field);
    }
    baseline["tolerance"] = tolerance;
    baseline["ratios"] = Json::object();
    for (const auto& [name, value] : ratios) baseline["ratios"][name.first][name.second] = value;
    return baseline;
  });
}

std::vector<RatioComparison> compare_with_baseline(const Json& baseline,
                                                   const std::vector<Json>& results) {
  return reading([&] {
    const Ratios measured = ratios_of(results);
    const std::string here = machine_of(results.front().at("machine"));
    if (machine_of(baseline) != here) {
      throw Error(Code::kDevice, "the baseline is of another class of machine: it has " +
                                     machine_of(baseline) + "; the results have " + here);
    }
    const auto tolerance = baseline.at("tolerance").get<double>();
    if (tolerance < 0 || tolerance >= 1) {
      throw Error(Code::kCorruptFile, "baseline: expected a tolerance from 0 up to 1, got " +
                                          baseline["tolerance"].dump());
    }
    std::vector<RatioComparison> comparisons;
    Ratios unknown = measured;
    for (const auto& [key, fields] : baseline.at("ratios").items()) {
      for (const auto& [field, value] : fields.items()) {
        const std::pair name(key, field);
        comparisons.push_back(compare(name, value.get<double>(), measured, tolerance));
        unknown.erase(name);
      }
    }
    for (const auto& [name, value] : unknown) {
      comparisons.push_back(
          {.key = name.first, .field = name.second, .measured = value, .verdict = Verdict::kNew});
    }
    return comparisons;
  });
}

bool has_regression(const std::vector<RatioComparison>& comparisons) {
  return std::ranges::any_of(comparisons, [](const RatioComparison& comparison) {
    return comparison.verdict == Verdict::kRegression ||
           comparison.verdict == Verdict::kNotMeasured;
  });
}

}  // namespace mxvideo::bench
