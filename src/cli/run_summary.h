// The first line of a generation and the last: how long it will take, and what a user wants to know
// of it afterwards. Thread-safe.
#pragma once

#include <string>

#include "estimate/time_report.h"
#include "pipeline/run_report.h"

namespace mxvideo::cli {

// "about 3 min 20 s +- 18 %: denoise 3 min 5 s, decode 11.2 s; rates: those of 2026-11-29 in …",
// the longest phases; where the rates are not known, who measures them.
std::string time_line(const estimate::TimeReport& report);

// "240 of 300 linear layers quantized; transformer weights 9.52 GiB -> 4.92 GiB; peak memory …";
// only the peak when nothing was quantized.
std::string run_summary(const pipeline::RunReport& report);

}  // namespace mxvideo::cli
