#include <fstream>
#include <limits>

#include "base/system/control_groups.h"
#include "base/system/memory_usage.h"

namespace mxvideo {
namespace {

namespace fs = std::filesystem;

// The number after `key` in lines "key number".
int64_t field(const fs::path& path, const std::string& key) {
  std::ifstream stream(path);
  std::string name;
  for (int64_t value = 0; stream >> name >> value;) {
    if (name == key) return value;
    stream.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

struct ControlFiles {
  const char* limit;
  const char* usage;
  const char* reclaimable;  // key in memory.stat
};
constexpr ControlFiles kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                    "total_inactive_file"};
constexpr ControlFiles kVersion2 = {"memory.max", "memory.current", "inactive_file"};

}  // namespace

AvailableMemory available_memory(const fs::path& root) {
  AvailableMemory available{.bytes = field(root / "proc/meminfo", "MemAvailable:") * 1024,
                            .source = "MemAvailable"};
  for (const ControlGroup& group : control_groups("memory", root)) {
    const ControlFiles& files = group.version == 1 ? kVersion1 : kVersion2;
    const auto limit = read_first_number(group.directory / files.limit);
    const auto usage = read_first_number(group.directory / files.usage);
    if (!limit || !usage) continue;
    const int64_t used = *usage - field(group.directory / "memory.stat", files.reclaimable);
    const int64_t left = std::max<int64_t>(0, *limit - std::max<int64_t>(0, used));
    if (left < available.bytes) {
      available = {.bytes = left, .source = (group.directory / files.limit).string()};
    }
  }
  return available;
}

}  // namespace mxvideo
