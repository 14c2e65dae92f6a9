#include "estimate/work_log.h"

#include <algorithm>
#include <utility>

namespace mxvideo::estimate {

std::string key(const CallGroup& group) {
  return group.op + " " + group.row + " " + group.kind.shape;
}

void WorkLog::listen(kernels::Context& context, const std::string& phase) {
  context.on_work = [this, &context, phase](const char* op, const char* row,
                                            const kernels::Workload& workload) {
    const double calls = context.repeats;
    add(phase,
        {.op = op,
         .row = row,
         .kind = workload,
         .work = {.flops = calls * workload.work.flops, .bytes = calls * workload.work.bytes},
         .calls = calls});
  };
}

void WorkLog::add(const std::string& phase, CallGroup work) {
  auto found = std::ranges::find(phases_, phase, &PhaseWork::name);
  if (found == phases_.end()) {
    found = phases_.insert(phases_.end(), PhaseWork{.name = phase, .groups = {}});
  }
  std::string name = key(work);
  const auto group = found->groups.find(name);
  if (group == found->groups.end()) {
    found->groups.emplace(std::move(name), std::move(work));
    return;
  }
  group->second.work += work.work;
  group->second.calls += work.calls;
}

}  // namespace mxvideo::estimate
