#include "base/system/memory_usage.h"

#include <malloc.h>

#include <fstream>
#include <string>

namespace mxvideo {
namespace {

int64_t status_field(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(key, 0) == 0) return std::stoll(line.substr(key.size())) * 1024;
  }
  return 0;
}

}  // namespace

int64_t resident_bytes() { return status_field("VmRSS:"); }

int64_t peak_resident_bytes() { return status_field("VmHWM:"); }

bool reset_peak_resident_bytes() {
  std::ofstream refs("/proc/self/clear_refs");
  refs << "5" << std::flush;
  return refs.good();
}

void trim_heap() { malloc_trim(0); }

}  // namespace mxvideo
