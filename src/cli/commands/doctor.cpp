#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/parallel.h"
#include "base/system/cpu_features.h"
#include "base/system/memory_usage.h"
#include "base/text/format.h"
#include "base/version.h"
#include "bench/model/model_fit.h"
#include "cli/commands/commands.h"
#include "cli/json_text.h"
#include "device/ascend/ascend_device.h"
#include "kernels/registry.h"

namespace mxvideo::cli {
namespace {

using Json = nlohmann::ordered_json;

int64_t total_memory_bytes() {
  std::ifstream info("/proc/meminfo");
  std::string key;
  int64_t kibibytes = 0;
  return info >> key >> kibibytes && key == "MemTotal:" ? kibibytes * 1024 : 0;
}

// What there is of an Ascend NPU, or what is missing. Loads CANN.
Json diagnose_ascend() {
  Json found = {{"here", false}, {"proof", ascend::kProofStatus}};
  try {
    ascend::AscendDevice device;
    const auto memory = device.memory_info();
    found["here"] = true;
    found["npu"] = device.soc();
    found["cann"] = device.cann().version();
    found["memory_bytes"] = memory.total;
    found["available_bytes"] = memory.free;
    found["runs"] = Json::array({"none", "mxfp8"});
  } catch (const Error& error) {
    found["missing"] = error.what();
  }
  return found;
}

Json diagnose() {
  const CpuFeatures cpu = cpu_features();
  Json report;
  report["version"] = version();
  report["cpu"] = cpu_model_name();
  report["features"] = cpu_features_to_string(cpu);
  report["threads"] = num_threads();
  report["memory_bytes"] = total_memory_bytes();
  report["devices"] = Json::array({"cpu"});
  report["ascend"] = diagnose_ascend();
  if (report["ascend"]["here"].get<bool>()) report["devices"].push_back("ascend");
  for (const kernels::OpInfo& op : kernels::registered_ops()) {
    Json rows = Json::array();
    bool chosen = false;
    for (const kernels::RowInfo& row : op.rows) {
      if (row.device != DeviceKind::kCpu) continue;
      const bool runs = cpu_has(cpu, row.requires_cpu);
      Json entry = {{"row", row.name}, {"runs", runs}, {"chosen", runs && !chosen}};
      if (!runs) {
        entry["missing"] = cpu_features_to_string(row.requires_cpu & ~cpu);
      }
      chosen = chosen || runs;
      rows.push_back(std::move(entry));
    }
    report["kernels"][op.name] = std::move(rows);
  }
  const AvailableMemory available = available_memory();
  const int64_t room = available.bytes + resident_bytes();
  report["available_bytes"] = room;
  const bench::ProbedRates rates = bench::probe_rates();
  report["measured_operations_per_second"] = {{"linear_none", rates.linear_none},
                                              {"linear_mxfp8", rates.linear_mxfp8},
                                              {"attention", rates.attention}};
  report["models"] = Json::array();
  for (const bench::ModelFit& fit : bench::fit_published_models(rates)) {
    const int64_t needs = fit.peak_bytes + resident_bytes();
    report["models"].push_back({{"model", fit.model},
                                {"quantization", fit.scheme},
                                {"width", fit.width},
                                {"height", fit.height},
                                {"num_frames", fit.frames},
                                {"peak_bytes", needs},
                                {"largest_phase", fit.phase},
                                {"fits", needs <= room},
                                {"seconds_per_step", fit.seconds_per_step}});
  }
  return report;
}

// "about 12 min", of which one digit may be wrong.
std::string rough_time(double seconds) {
  constexpr double kMinute = 60, kHour = 3600;
  if (seconds < 2 * kMinute) return fmt::format("{:.0f} s", seconds);
  if (seconds < 2 * kHour) return fmt::format("{:.0f} min", seconds / kMinute);
  return fmt::format("{:.1f} h", seconds / kHour);
}

void print_models(const Json& report) {
  std::cout << fmt::format("\npublished models, of {} available\n",
                           format_bytes(report["available_bytes"].get<int64_t>()))
            << fmt::format("  {:<16} {:<6} {:>9} {:>6} {:>12}  {:<4} {:>9}\n", "model", "scheme",
                           "size", "frames", "peak memory", "fits", "a step");
  for (const Json& model : report["models"]) {
    std::cout << fmt::format(
        "  {:<16} {:<6} {:>9} {:>6} {:>12}  {:<4} {:>9}\n", model["model"].get<std::string>(),
        model["quantization"].get<std::string>(),
        fmt::format("{}x{}", model["width"].get<int64_t>(), model["height"].get<int64_t>()),
        model["num_frames"].get<int64_t>(), format_bytes(model["peak_bytes"].get<int64_t>()),
        model["fits"].get<bool>() ? "yes" : "no",
        rough_time(model["seconds_per_step"].get<double>()));
  }
  std::cout
      << "estimates: memory from the published sizes, BF16 files and the longest prompt; time "
         "from one\nlinear layer and one attention that were measured just now, with both "
         "passes of guidance.\nmxvideo plan says it of a model's own files, mxvideo bench step "
         "measures more.\n";
}

std::string describe_ascend(const Json& found) {
  const auto proof = found["proof"].get<std::string>();
  if (!found["here"].get<bool>()) {
    return fmt::format("ascend   no: {} ({})\n", found["missing"].get<std::string>(), proof);
  }
  return fmt::format("ascend   {}, CANN {}, {} of {} free, BF16 and mxfp8; {}\n",
                     found["npu"].get<std::string>(), found["cann"].get<std::string>(),
                     format_bytes(found["available_bytes"].get<int64_t>()),
                     format_bytes(found["memory_bytes"].get<int64_t>()), proof);
}

void print_text(const Json& report) {
  std::cout << fmt::format("mxvideo  {}\n", report["version"].get<std::string>())
            << fmt::format("cpu      {}\n", report["cpu"].get<std::string>())
            << fmt::format("features {}\n", report["features"].get<std::string>())
            << fmt::format("threads  {}\n", report["threads"].get<int>())
            << fmt::format("memory   {}\n", format_bytes(report["memory_bytes"].get<int64_t>()))
            << "devices  cpu (CUDA is not in this build)\n"
            << describe_ascend(report["ascend"]) << "\n"
            << "kernels, best first; * is what runs here unless its arguments rule it out\n";
  for (const auto& [op, rows] : report["kernels"].items()) {
    std::string line = fmt::format("  {:<15}", op);
    for (const Json& row : rows) {
      const auto name = row["row"].get<std::string>();
      if (row["chosen"].get<bool>()) {
        line += " *" + name;
      } else if (row["runs"].get<bool>()) {
        line += "  " + name;
      } else {
        line += fmt::format("  {} (this CPU lacks {})", name, row["missing"].get<std::string>());
      }
    }
    std::cout << line << "\n";
  }
  print_models(report);
}

}  // namespace

Command add_doctor(CLI::App& app) {
  auto* parser =
      app.add_subcommand("doctor", "Say what this machine can use and which kernels are chosen");
  auto json = std::make_shared<bool>(false);
  parser->add_flag("--json", *json, "Print JSON");
  return [json] {
    const Json report = diagnose();
    if (*json) {
      std::cout << to_text(report) << "\n";
    } else {
      print_text(report);
    }
  };
}

}  // namespace mxvideo::cli
