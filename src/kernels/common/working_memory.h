// Where the calls of a stage take their memory from while the stage runs: an arena whose size is
// what the same calls take on a device that only counts. So it is known before the first of them
// runs, `mxvideo plan` says it, and a steady state asks the device for nothing.
//
// What outlives the stage is copied out of it. Not thread-safe, as the context is not.
#pragma once

#include <cstdint>

#include "base/function_ref.h"
#include "device/arena.h"
#include "device/dry_device.h"
#include "kernels/common/context.h"

namespace mxvideo::kernels {

class WorkingMemory {
 public:
  // A plan: for contexts whose device does not compute.
  explicit WorkingMemory(Context& context);
  // Throws Code::kOutOfMemory.
  WorkingMemory(Context& context, int64_t bytes);
  // Waits for the work that uses it; a stage waits before, where errors of its work can be told.
  ~WorkingMemory();
  WorkingMemory(const WorkingMemory&) = delete;
  WorkingMemory& operator=(const WorkingMemory&) = delete;

  const Arena& arena() const { return arena_; }

 private:
  Context& context_;
  Memory* before_;
  Arena arena_;
};

// A context like another one, of a device like its own that does not compute.
class DryContext {
 public:
  explicit DryContext(const Context& like);
  DryContext(const DryContext&) = delete;
  DryContext& operator=(const DryContext&) = delete;

  Context& operator*() { return context_; }

 private:
  DryDevice device_;
  Context context_;
};

// Bytes of working memory that `work` takes on a device like that of `context`, with its policy.
int64_t plan_working_memory(const Context& context, FunctionRef<void(Context& dry)> work);

}  // namespace mxvideo::kernels
