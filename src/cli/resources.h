// Whether a run fits this machine, asked before its work: memory by its plan, the free space of
// every file system that it writes to. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "audit/fit.h"
#include "cli/progress.h"

namespace mxvideo::cli {

// What does not fit is an error, or a line for those who go on.
struct ResourceCheck {
  bool allow_overcommit = false;
  Progress* progress = nullptr;

  // Throws Code::kOutOfMemory with the cure.
  void memory(const audit::PlanReport& plan) const;
  // `needed` bytes beyond what this process has. Throws Code::kOutOfMemory.
  void memory(int64_t needed) const;

  struct Need {
    std::string path;   // a file, or a directory with the files in it
    int64_t bytes = 0;  // at most
  };
  // Files on one file system share its free space. Throws Code::kIo.
  void space(std::span<const Need> needs) const;

 private:
  void report(Code code, const std::string& message) const;
};

// What is wrong with a plan that does not fit, and what would help.
std::string memory_shortage(const audit::PlanReport& plan);

}  // namespace mxvideo::cli
