#include "cli/resources.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/system/memory_usage.h"
#include "base/text/format.h"
#include "convert/output/directory_tools.h"

namespace mxvideo::cli {

namespace fs = std::filesystem;

void ResourceCheck::report(Code code, const std::string& message) const {
  if (!allow_overcommit) {
    throw Error(code, message + "; --allow-overcommit goes on all the same");
  }
  progress->line("note: " + message + "; going on all the same");
}

void ResourceCheck::memory(const audit::PlanReport& plan) const {
  if (!plan.fits) report(Code::kOutOfMemory, memory_shortage(plan));
}

void ResourceCheck::memory(int64_t needed) const {
  const AvailableMemory available = available_memory();
  if (needed <= available.bytes) return;
  report(Code::kOutOfMemory,
         fmt::format("the run needs {}, {} are available ({})", format_bytes(needed),
                     format_bytes(available.bytes), available.source));
}

void ResourceCheck::space(std::span<const Need> needs) const {
  struct Disk {
    fs::path directory;
    int64_t bytes = 0;
    std::string names;
  };
  std::map<uint64_t, Disk> disks;
  for (const Need& need : needs) {
    if (need.path.empty() || need.bytes <= 0) continue;
    fs::path directory = fs::path(need.path).parent_path();
    if (directory.empty()) directory = ".";
    struct stat status {};
    if (::stat(directory.c_str(), &status) != 0) continue;  // an error of its own, elsewhere
    Disk& disk = disks[status.st_dev];
    disk.directory = directory;
    disk.bytes += need.bytes;
    disk.names += (disk.names.empty() ? "" : ", ") + need.path;
  }
  for (const auto& [device, disk] : disks) {
    const uint64_t free = convert::free_bytes(disk.directory);
    if (static_cast<uint64_t>(disk.bytes) <= free) continue;
    report(Code::kIo, fmt::format("{}: up to {} will be written, but the file system has only {} "
                                  "free",
                                  disk.names, format_bytes(disk.bytes),
                                  format_bytes(static_cast<int64_t>(free))));
  }
}

std::string memory_shortage(const audit::PlanReport& plan) {
  return fmt::format(
      "the run needs {}, {} are available ({}); {}", format_bytes(plan.memory.peak_bytes()),
      format_bytes(plan.available.bytes + plan.memory.process_bytes), plan.available.source,
      plan.cures.empty() ? std::string("no smaller request was found to fit")
                         : "it would fit with " + plan.cures.front());
}

}  // namespace mxvideo::cli
