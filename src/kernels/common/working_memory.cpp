#include "kernels/common/working_memory.h"

#include <utility>

#include "device/dry_device.h"

namespace mxvideo::kernels {

WorkingMemory::WorkingMemory(Context& context)
    : context_(context), before_(context.memory_), arena_(context.device()) {
  context.memory_ = &arena_;
}

WorkingMemory::WorkingMemory(Context& context, int64_t bytes)
    : context_(context), before_(context.memory_), arena_(context.device(), bytes) {
  context.memory_ = &arena_;
}

WorkingMemory::~WorkingMemory() {
  context_.memory_ = before_;
  try {
    context_.device().synchronize();
  } catch (...) {
    // Whoever waits for that work next is told; the memory must outlive it in any case.
  }
}

int64_t plan_working_memory(const Context& context, FunctionRef<void(Context& dry)> work) {
  DryDevice device(context.device());
  Context dry(context.policy, device);
  dry.cpu = context.cpu;
  const WorkingMemory memory(dry);
  work(dry);
  return memory.arena().extent();
}

}  // namespace mxvideo::kernels
