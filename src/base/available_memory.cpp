#include <charconv>
#include <fstream>
#include <limits>
#include <optional>

#include "base/memory_usage.h"

namespace mxvideo {
namespace {

namespace fs = std::filesystem;

// A file that holds one number; nullopt for "max", for what is no number and for no file.
std::optional<int64_t> read_number(const fs::path& path) {
  std::ifstream stream(path);
  std::string text;
  if (!(stream >> text)) return std::nullopt;
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && last == end ? std::optional(value) : std::nullopt;
}

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

// Looks at `group` and the groups above it, up to `mount`.
void apply_groups(const fs::path& mount, const fs::path& group, const ControlFiles& files,
                  AvailableMemory* available) {
  for (fs::path path = group.relative_path();; path = path.parent_path()) {
    const fs::path directory = path.empty() ? mount : mount / path;
    const auto limit = read_number(directory / files.limit);
    const auto usage = read_number(directory / files.usage);
    if (limit && usage) {
      const int64_t used = *usage - field(directory / "memory.stat", files.reclaimable);
      const int64_t left = std::max<int64_t>(0, *limit - std::max<int64_t>(0, used));
      if (left < available->bytes) {
        *available = {.bytes = left, .source = (directory / files.limit).string()};
      }
    }
    if (path.empty()) return;
  }
}

}  // namespace

AvailableMemory available_memory(const fs::path& root) {
  AvailableMemory available{.bytes = field(root / "proc/meminfo", "MemAvailable:") * 1024,
                            .source = "MemAvailable"};
  std::ifstream groups(root / "proc/self/cgroup");
  const fs::path mount = root / "sys/fs/cgroup";
  // Lines are "number:controllers:path"; version 2 has no controllers.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const fs::path path = line.substr(second + 1);
    if (controllers == ",,") {
      apply_groups(mount, path, kVersion2, &available);
    } else if (controllers.find(",memory,") != std::string::npos) {
      apply_groups(mount / "memory", path, kVersion1, &available);
    }
  }
  return available;
}

}  // namespace mxvideo
