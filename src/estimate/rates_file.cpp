#include "estimate/rates_file.h"

#include <array>
#include <ctime>
#include <limits>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/json.h"

namespace mxvideo::estimate {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr size_t kMostMachines = 16;
constexpr size_t kMostRates = 4096;  // of a machine; more are not written

struct Entry {
  Machine machine;
  KeptRates kept;
};

// Whether one is the other with another version of the program.
bool same_but_program(const Machine& a, const Machine& b) {
  Machine other = a;
  other.program = b.program;
  return other == b;
}

Entry parse_entry(const nlohmann::json& json, const std::string& origin) {
  const JsonFields fields(json, origin);
  Entry entry;
  entry.machine = {
      .device = fields.string("device"),
      .cpu = fields.string("cpu"),
      .features = fields.string("features"),
      .threads = static_cast<int>(fields.integer("threads", 1, std::numeric_limits<int>::max())),
      .program = fields.string("program")};
  entry.kept.measured = fields.string("measured");
  const nlohmann::json& rates = fields.raw("rates");
  const JsonFields by_key(rates, origin + ": rates");
  for (const auto& [key, value] : rates.items()) {
    const std::vector<double> pair = by_key.numbers(key);
    if (pair.size() != 2 || !(pair[0] > 0) || !(pair[1] >= 0)) {
      throw Error(Code::kCorruptFile,
                  origin + ": the rate of '" + key + "' is not seconds above 0 and a spread");
    }
    entry.kept.rates.set(key, {.seconds = pair[0], .spread = pair[1]});
  }
  return entry;
}

std::vector<Entry> read_entries(const fs::path& path) {
  const nlohmann::json json = read_json_file(path);
  const std::string origin = path.string();
  const JsonFields fields(json, origin);
  fields.integer("format", kFormat, kFormat);
  const nlohmann::json& machines = fields.raw("machines");
  if (!machines.is_array()) {
    throw Error(Code::kCorruptFile,
                origin + ": machines: expected an array, got " + describe_json(machines));
  }
  std::vector<Entry> entries;
  for (const nlohmann::json& machine : machines) entries.push_back(parse_entry(machine, origin));
  return entries;
}

Json entry_json(const Entry& entry) {
  Json json = {{"device", entry.machine.device},
               {"cpu", entry.machine.cpu},
               {"features", entry.machine.features},
               {"threads", entry.machine.threads},
               {"program", entry.machine.program},
               {"measured", entry.kept.measured},
               {"rates", Json::object()}};
  size_t count = 0;
  for (const auto& [key, rate] : entry.kept.rates.all()) {
    if (++count > kMostRates) break;
    json["rates"][key] = {rate.seconds, rate.spread};
  }
  return json;
}

}  // namespace

KeptRates read_rates(const fs::path& path, const Machine& machine) {
  KeptRates none;
  std::error_code unreadable;
  if (!fs::exists(path, unreadable)) return none;
  try {
    for (Entry& entry : read_entries(path)) {
      if (entry.machine == machine) {
        entry.kept.notes = none.notes;
        return std::move(entry.kept);
      }
      if (same_but_program(entry.machine, machine)) {
        none.notes.push_back("rates in " + path.string() + " are those of version " +
                             entry.machine.program + " and not used");
      }
    }
  } catch (const Error& error) {
    none.notes.push_back("kept rates are not used: " + std::string(error.what()));
  }
  return none;
}

std::string write_rates(const fs::path& path, const Machine& machine, const KeptRates& rates) {
  std::vector<Entry> entries = {{.machine = machine, .kept = rates}};
  try {
    std::error_code failed;
    if (fs::exists(path, failed)) {
      for (Entry& entry : read_entries(path)) {
        if (!same_but_program(entry.machine, machine)) entries.push_back(std::move(entry));
      }
    }
  } catch (const Error&) {  // read_rates() has said so; what replaces it is whole
    entries.resize(1);
  }
  if (entries.size() > kMostMachines) entries.resize(kMostMachines);
  Json json = {{"format", kFormat}, {"machines", Json::array()}};
  for (const Entry& entry : entries) json["machines"].push_back(entry_json(entry));
  try {
    std::error_code failed;
    fs::create_directories(path.parent_path(), failed);  // that it failed shows in the next line
    write_file_atomically(path, json.dump(1) + "\n");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm calendar = {};
  ::localtime_r(&now, &calendar);
  std::array<char, 16> text = {};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d", &calendar)};
}

}  // namespace mxvideo::estimate
