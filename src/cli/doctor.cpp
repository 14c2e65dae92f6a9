#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/cpu_features.h"
#include "base/parallel.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/json_text.h"
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

Json diagnose() {
  const CpuFeatures cpu = cpu_features();
  Json report;
  report["version"] = version();
  report["cpu"] = cpu_model_name();
  report["features"] = cpu_features_to_string(cpu);
  report["threads"] = num_threads();
  report["memory_bytes"] = total_memory_bytes();
  report["devices"] = Json::array({"cpu"});
  for (const kernels::OpInfo& op : kernels::registered_ops()) {
    Json rows = Json::array();
    bool chosen = false;
    for (const kernels::RowInfo& row : op.rows) {
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
  return report;
}

void print_text(const Json& report) {
  std::cout << fmt::format("mxvideo  {}\n", report["version"].get<std::string>())
            << fmt::format("cpu      {}\n", report["cpu"].get<std::string>())
            << fmt::format("features {}\n", report["features"].get<std::string>())
            << fmt::format("threads  {}\n", report["threads"].get<int>())
            << fmt::format("memory   {:.1f} GiB\n",
                           report["memory_bytes"].get<double>() / (1 << 30))
            << "devices  cpu (CUDA and Ascend NPU are not in this build)\n\n"
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
