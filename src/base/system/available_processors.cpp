#include "base/system/available_processors.h"

#include <sched.h>

#include <fstream>
#include <memory>
#include <optional>

#include "base/checked.h"
#include "base/system/control_groups.h"

namespace mxvideo {
namespace {

namespace fs = std::filesystem;

int count_affinity() {
  // More processors than a fixed cpu_set_t holds are an error there, so the set grows.
  for (int processors = 1024; processors <= 1 << 20; processors *= 2) {
    const size_t bytes = CPU_ALLOC_SIZE(processors);
    const auto free_set = [](cpu_set_t* set) { CPU_FREE(set); };
    const std::unique_ptr<cpu_set_t, decltype(free_set)> set(CPU_ALLOC(processors), free_set);
    if (set && sched_getaffinity(0, bytes, set.get()) == 0) return CPU_COUNT_S(bytes, set.get());
  }
  return 1;
}

struct Quota {
  int64_t time = 0, period = 0;  // microseconds
  fs::path file;
};

// nullopt: the group sets none ("max" in version 2, -1 in version 1).
std::optional<Quota> read_quota(const ControlGroup& group) {
  Quota quota;
  if (group.version == 2) {
    quota.file = group.directory / "cpu.max";  // "time period"
    std::ifstream stream(quota.file);
    if (!(stream >> quota.time >> quota.period)) return std::nullopt;
  } else {
    quota.file = group.directory / "cpu.cfs_quota_us";
    quota.time = read_first_number(quota.file).value_or(-1);
    quota.period = read_first_number(group.directory / "cpu.cfs_period_us").value_or(0);
  }
  return quota.time > 0 && quota.period > 0 ? std::optional(quota) : std::nullopt;
}

}  // namespace

AvailableProcessors available_processors(const fs::path& root) {
  AvailableProcessors available{.count = count_affinity(), .source = "affinity"};
  for (const ControlGroup& group : control_groups("cpu", root)) {
    const std::optional<Quota> quota = read_quota(group);
    if (!quota) continue;
    const int64_t processors = ceil_div(quota->time, quota->period);
    if (processors < available.count) {
      available = {.count = static_cast<int>(processors), .source = quota->file.string()};
    }
  }
  return available;
}

}  // namespace mxvideo
