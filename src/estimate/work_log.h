// What the phases of a run do, in calls of operations: kinds of calls and how much there is of
// each. A plan writes it while it runs on a device that does not compute. Not thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kernels/common/context.h"
#include "kernels/common/workload.h"

namespace mxvideo::estimate {

// Calls whose time follows from one sample.
struct CallGroup {
  std::string op, row;
  kernels::Workload kind = {};  // of one of them
  kernels::Work work = {};      // of all
  double calls = 0;
};

struct PhaseWork {
  std::string name;                         // as a stage of RunReport
  std::map<std::string, CallGroup> groups;  // by key()
};

// What a rate is kept under: "gemm_mx avx2 512x2048x3072 gelu".
std::string key(const CallGroup& group);

class WorkLog {
 public:
  // Everything that `context` is asked for while it lives belongs to `phase`, until the next call.
  void listen(kernels::Context& context, const std::string& phase);
  // `work.calls` calls of `work.op`, in an equal group if there is one.
  void add(const std::string& phase, CallGroup work);
  // In the order in which they began.
  const std::vector<PhaseWork>& phases() const { return phases_; }

 private:
  std::vector<PhaseWork> phases_;
};

}  // namespace mxvideo::estimate
