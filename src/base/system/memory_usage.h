// Resident memory of this process, from /proc/self/status, and what it may still take. Bytes; 0
// where /proc is absent. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace mxvideo {

int64_t resident_bytes();
// Highest resident_bytes() since start or the last reset_peak_resident_bytes().
int64_t peak_resident_bytes();
// Resets the peak to the present value; false where the kernel does not allow it.
bool reset_peak_resident_bytes();

struct AvailableMemory {
  int64_t bytes = 0;   // that this process may take beyond what it has
  std::string source;  // what sets the limit: "MemAvailable", or a control group's file
};
// The least of MemAvailable and of what the control groups of this process (version 1 or 2, up to
// the root) leave; page cache that can be dropped counts as free. `root` is for tests.
AvailableMemory available_memory(const std::filesystem::path& root = "/");

// Gives freed heap memory back to the operating system.
void trim_heap();

}  // namespace mxvideo
