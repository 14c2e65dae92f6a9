// `mxvideo bench check`.
#pragma once

#include "cli/commands/commands.h"

namespace mxvideo::cli {

Command add_bench_check(CLI::App& bench);

}  // namespace mxvideo::cli
