// The control groups of Linux that limit this process, and the small files that state their limits
// (cgroups(7)). Thread-safe: no state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mxvideo {

struct ControlGroup {
  std::filesystem::path directory;
  int version = 2;  // of the interface: 1 or 2
};

// The group of `controller` ("memory", "cpu") that this process is in and the groups above it, the
// innermost first, in version 1 and 2. Empty where there are none. `root` is for tests.
std::vector<ControlGroup> control_groups(const std::string& controller,
                                         const std::filesystem::path& root = "/");

// The first number in a file; nullopt for "max", for what is no number and for no file.
std::optional<int64_t> read_first_number(const std::filesystem::path& path);

}  // namespace mxvideo
