// How many threads of this process can run at one time. Thread-safe: no state.
#pragma once

#include <filesystem>
#include <string>

namespace mxvideo {

struct AvailableProcessors {
  int count = 1;
  std::string source;  // what sets the number: "affinity", or a control group's file
};

// The processors of the affinity mask, or fewer when a control group (version 1 or 2, up to the
// root) grants less time than theirs: its quota, rounded up, since a rounded-down one would leave
// granted time unused. `root` is for tests.
AvailableProcessors available_processors(const std::filesystem::path& root = "/");

}  // namespace mxvideo
