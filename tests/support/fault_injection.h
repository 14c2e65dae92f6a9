// Runs a program whose calls to the file system fail as told (support/fault_shim.cpp says which
// calls are counted). Thread-safe: no state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "support/process.h"

namespace mxvideo::test {

struct Fault {
  std::filesystem::path directory;  // absolute, without links; only calls below it are counted
  std::string mode = "count";       // or error, short, kill-before, kill-after, full
  int64_t at = 0;                   // number of the call, from 1; of bytes for full
  int error = 0;                    // errno of mode error
};

ProcessResult run_with_fault(ProcessOptions options, const Fault& fault);

// Calls below `directory` of a run that must succeed; throws std::runtime_error when it does not.
int64_t count_calls(const ProcessOptions& options, const std::filesystem::path& directory);

}  // namespace mxvideo::test
