// How long a run takes, as plans and runs tell it: rates are read from where they are kept, those
// that lack are measured as far as the caller has time for it, and kept.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "estimate/time_estimate.h"

namespace mxvideo::estimate {

enum class Effort : uint8_t {
  kMeasure,  // whatever lacks, in some seconds
  kBounded,  // in three hundredths of the time that the run will take; nothing in short runs
};

struct TimeReportOptions {
  std::filesystem::path rates_file = {};  // empty: rates are not kept
  Effort effort = Effort::kMeasure;
  const CancellationToken* cancellation = nullptr;
};

struct TimeReport {
  TimeEstimate estimate;
  bool known = false;  // most of it from measured rates
  std::string rates;   // where they come from: "measured now in 2.1 s, kept in PATH"
  std::vector<std::string> notes;
};

// Throws Code::kCancelled, and Code::kOutOfMemory while measuring.
TimeReport tell_time(std::span<const PhaseWork> phases, Device& device,
                     const TimeReportOptions& options);

// "0.45 s", "12.3 s", "3 min 20 s", "2 h 5 min"
std::string spoken(double seconds);
// "about 3 min 20 s +- 20 %"
std::string about(const PhaseTime& time);
// seconds and error_seconds of each phase and the whole, part of the seconds that is guessed, and
// where the rates come from.
nlohmann::ordered_json to_json(const TimeReport& report);

}  // namespace mxvideo::estimate
