#include "estimate/time_report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/parallel.h"
#include "estimate/probe.h"
#include "estimate/rates_file.h"

namespace mxvideo::estimate {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMostSeconds = 8;
// Of the time that a run will take, and what is too little to begin with.
constexpr double kShare = 0.03, kLeastSeconds = 0.3;
// A run is known when no more than this part of it is guessed.
constexpr double kMostGuessed = 0.2;

double seconds_for_probe(std::span<const PhaseWork> phases, Effort effort) {
  if (effort == Effort::kMeasure) return kMostSeconds;
  double run = 0;
  for (const PhaseWork& phase : phases) {
    for (const auto& [name, group] : phase.groups)
      run += guessed_seconds(group.work, num_threads());
  }
  return kShare * run < kLeastSeconds ? 0 : std::min(kShare * run, kMostSeconds);
}

// Says where the rates come from, after what was measured now has been kept.
std::string keep(const KeptRates& kept, const Machine& machine, const ProbeReport& probe,
                 const std::filesystem::path& path, std::vector<std::string>& notes) {
  if (probe.measured == 0) {
    return kept.measured.empty() ? "none" : "those of " + kept.measured + " in " + path.string();
  }
  std::string text = fmt::format("measured now in {:.1f} s", probe.seconds);
  if (path.empty()) return text;
  KeptRates now = kept;
  if (now.measured.empty()) {
    now.measured = today();
  } else {
    text = "those of " + now.measured + ", others " + text;
  }
  const std::string failure = write_rates(path, machine, now);
  if (failure.empty()) return text + ", kept in " + path.string();
  notes.push_back("rates are not kept: " + failure);
  return text;
}

Json time_json(const PhaseTime& time) {
  return {{"name", time.name}, {"seconds", time.seconds}, {"error_seconds", time.error}};
}

}  // namespace

TimeReport tell_time(std::span<const PhaseWork> phases, Device& device,
                     const TimeReportOptions& options) {
  const Machine machine = this_machine(device);
  KeptRates kept;
  if (!options.rates_file.empty()) kept = read_rates(options.rates_file, machine);
  TimeReport report;
  report.notes = std::move(kept.notes);
  kept.notes.clear();
  const ProbeOptions probe_options = {.seconds = seconds_for_probe(phases, options.effort),
                                      .cancellation = options.cancellation};
  const ProbeReport probe = measure_missing(phases, kept.rates, device, probe_options);
  report.rates = keep(kept, machine, probe, options.rates_file, report.notes);
  report.estimate = estimate_time(phases, kept.rates, machine.threads);
  const PhaseTime whole = report.estimate.whole();
  report.known = whole.guessed <= kMostGuessed * whole.seconds;
  return report;
}

std::string spoken(double seconds) {
  if (seconds < 1) return fmt::format("{:.2f} s", seconds);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = std::llround(seconds);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  const auto minutes = std::llround(seconds / 60);
  return fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string about(const PhaseTime& time) {
  const double percent = time.seconds > 0 ? 100 * time.error / time.seconds : 0;
  return fmt::format("about {} +- {:.0f} %", spoken(time.seconds), percent);
}

Json to_json(const TimeReport& report) {
  const PhaseTime whole = report.estimate.whole();
  Json json = {{"seconds", whole.seconds},
               {"error_seconds", whole.error},
               {"guessed_seconds", whole.guessed},
               {"rates", report.rates},
               {"phases", Json::array()}};
  for (const PhaseTime& phase : report.estimate.phases) {
    json["phases"].push_back(time_json(phase));
  }
  return json;
}

}  // namespace mxvideo::estimate
