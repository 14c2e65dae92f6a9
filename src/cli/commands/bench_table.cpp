#include "cli/commands/bench_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text/format.h"

namespace mxvideo::cli {
namespace {

using Json = nlohmann::ordered_json;

// Said once for all rows, or only of use to programs.
constexpr std::string_view kHidden[] = {"threads", "status", "reason", "kernels", "bytes_read"};

std::string cell(const Json& row, const std::string& field) {
  if (!row.contains(field) || row[field].is_null()) return "-";
  const Json& value = row[field];
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number_float()) return value.dump();
  return fmt::format("{:.4g}", value.get<double>());
}

std::vector<std::string> columns(const Json& rows) {
  std::vector<std::string> fields;
  for (const Json& row : rows) {
    for (const auto& [field, value] : row.items()) {
      const bool shown = std::ranges::find(kHidden, field) == std::end(kHidden);
      if (!shown || value.is_null() || std::ranges::find(fields, field) != fields.end()) continue;
      fields.push_back(field);
    }
  }
  return fields;
}

std::string machine_lines(const Json& machine) {
  std::string text = fmt::format("{}, {}, {}\n", machine["cpu"].get<std::string>(),
                                 machine["features"].get<std::string>(),
                                 count_of(machine["threads"].get<int>(), "thread"));
  for (const Json& unit : machine["units"]) {
    const Json& rate = unit["giga_operations_per_second"];
    text += fmt::format(
        "  {:<11} {:<12} {}\n", unit["unit"].get<std::string>(), unit["isa"].get<std::string>(),
        rate.is_null()
            ? unit["status"].get<std::string>() + ": " + unit["reason"].get<std::string>()
            : fmt::format("{:.1f} G/s", rate.get<double>()));
  }
  for (const char* field : {"read_bytes_per_second", "copy_bytes_per_second"}) {
    const Json& rate = machine[field];
    text += fmt::format("  {:<24} {}\n", field,
                        rate.is_null() ? std::string("-") : format_byte_rate(rate.get<double>()));
  }
  return text;
}

}  // namespace

std::string bench_table(const Json& result) {
  const Json& rows = result["rows"];
  const std::vector<std::string> fields = columns(rows);
  std::string text = machine_lines(result["machine"]) + "\n";
  std::vector<std::vector<std::string>> lines(1 + rows.size());
  for (const std::string& field : fields) {
    lines[0].push_back(field);
    size_t width = field.size();
    for (size_t i = 0; i < rows.size(); ++i) {
      lines[i + 1].push_back(cell(rows[i], field));
      width = std::max(width, lines[i + 1].back().size());
    }
    for (auto& line : lines) line.back().resize(width, ' ');
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string line;
    for (const std::string& word : lines[i]) line += (line.empty() ? "" : "  ") + word;
    if (i > 0 && rows[i - 1].contains("reason")) {
      line += fmt::format("  {}: {}", rows[i - 1]["status"].get<std::string>(),
                          rows[i - 1]["reason"].get<std::string>());
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace mxvideo::cli
