// The last line of a generation: what a user wants to know of it. Thread-safe.
#pragma once

#include <string>

#include "pipeline/run_report.h"

namespace mxvideo::cli {

// "240 of 300 linear layers quantized; transformer weights 9.52 GiB -> 4.92 GiB; peak memory …";
// only the peak when nothing was quantized.
std::string run_summary(const pipeline::RunReport& report);

}  // namespace mxvideo::cli
