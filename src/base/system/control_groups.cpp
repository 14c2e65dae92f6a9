#include "base/system/control_groups.h"

#include <charconv>
#include <fstream>

namespace mxvideo {
namespace {

namespace fs = std::filesystem;

void add_with_parents(const fs::path& mount, const fs::path& group, int version,
                      std::vector<ControlGroup>* groups) {
  for (fs::path path = group.relative_path();; path = path.parent_path()) {
    groups->push_back({.directory = path.empty() ? mount : mount / path, .version = version});
    if (path.empty()) return;
  }
}

}  // namespace

std::vector<ControlGroup> control_groups(const std::string& controller, const fs::path& root) {
  std::vector<ControlGroup> groups;
  std::ifstream lines(root / "proc/self/cgroup");
  const fs::path mount = root / "sys/fs/cgroup";
  // Lines are "number:controllers:path"; version 2 has no controllers.
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const fs::path path = line.substr(second + 1);
    if (controllers == ",,") {
      add_with_parents(mount, path, 2, &groups);
    } else if (controllers.find("," + controller + ",") != std::string::npos) {
      add_with_parents(mount / controller, path, 1, &groups);
    }
  }
  return groups;
}

std::optional<int64_t> read_first_number(const fs::path& path) {
  std::ifstream stream(path);
  std::string text;
  if (!(stream >> text)) return std::nullopt;
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && last == end ? std::optional(value) : std::nullopt;
}

}  // namespace mxvideo
