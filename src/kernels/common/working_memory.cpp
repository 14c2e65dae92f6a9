#include "kernels/common/working_memory.h"

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
    // Only while an error of the stage is on its way already: that one is told.
  }
}

DryContext::DryContext(const Context& like)
    : device_(like.device()), context_(like.policy, device_) {
  context_.cpu = like.cpu;
}

int64_t plan_working_memory(const Context& context, FunctionRef<void(Context& dry)> work) {
  DryContext dry(context);
  const WorkingMemory memory(*dry);
  work(*dry);
  return memory.arena().extent();
}

}  // namespace mxvideo::kernels
