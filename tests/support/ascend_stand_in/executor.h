// The two phases of an operator. The first checks every argument against the operator's document
// and makes an executor; the second checks what can only be known then (lifetimes, addresses,
// bounds, workspace) and queues the work.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "support/ascend_stand_in/handles.h"
#include "support/ascend_stand_in/world.h"

namespace ascend_stand_in {

struct Operand {
  std::string name;
  std::shared_ptr<Tensor> tensor;  // null: not given
  const void* handle = nullptr;
};

// The views of the operands in the order in which the first phase named them.
struct Operands {
  std::vector<View> in;
  std::vector<View> out;
};

struct Executor {
  std::string op;
  uint64_t workspace = 0;
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
  std::function<void(const Operands&)> compute;
  bool repeatable = false;
};

// What a first phase says about its arguments; each check throws Refusal with 161001 for a missing
// argument and 161002 for a wrong one.
class Plan {
 public:
  Plan(World& w, const char* op) : world_(w) { executor_.op = op; }

  const Tensor& input(const aclTensor* handle, const char* name);
  const Tensor* optional_input(const aclTensor* handle, const char* name);
  std::vector<const Tensor*> inputs(const aclTensorList* handle, const char* name);
  const Tensor& output(const aclTensor* handle, const char* name);
  const Tensor* optional_output(const aclTensor* handle, const char* name);
  double scalar(const aclScalar* handle, const char* name);
  std::vector<int64_t> integers(const aclIntArray* handle, const char* name);

  void require(bool holds, const std::string& what) const;
  void require_type(const Tensor& tensor, const char* name,
                    std::initializer_list<aclDataType> types) const;
  void require_dims(const Tensor& tensor, const char* name, const Dims& dims) const;
  void require_rank(const Tensor& tensor, const char* name, int64_t least, int64_t most) const;
  void require_contiguous(const Tensor& tensor, const char* name) const;
  // For arguments that the document knows and the stand-in does not compute.
  void require_absent(std::initializer_list<const void*> arguments, const char* names) const;
  // 361001 on a device that lacks the operator.
  void require_a5() const;
  bool is_a5() const { return world_.is_a5(); }
  size_t input_count() const { return executor_.inputs.size(); }

  void workspace(uint64_t bytes) { executor_.workspace = bytes; }
  void compute(std::function<void(const Operands&)> work) { executor_.compute = std::move(work); }
  Executor take() { return std::move(executor_); }

 private:
  Operand operand(const aclTensor* handle, const char* name);

  World& world_;
  Executor executor_;
};

struct FirstPhase {
  const char* name;  // "…GetWorkspaceSize"
  const char* op;
  uint64_t* workspace_size;
  aclOpExecutor** executor;
};

aclnnStatus first_phase(const FirstPhase& phase, const std::function<void(Plan&)>& describe);
// Broadcast as NumPy does; false when the dims do not fit.
bool broadcast(const Dims& a, const Dims& b, Dims& out);

struct Workspace {
  void* address;
  uint64_t bytes;
};
aclnnStatus launch(const char* op, const Workspace& workspace, aclOpExecutor* executor,
                   aclrtStream stream);

// The body of a first phase: `describe` is a lambda that takes the plan.
#define STAND_IN_DESCRIBE(NAME, ...) \
  return first_phase({#NAME "GetWorkspaceSize", #NAME, workspace_size, executor}, __VA_ARGS__)

#define STAND_IN_SECOND_PHASE(NAME)                                                   \
  aclnnStatus NAME(void* workspace, uint64_t workspace_size, aclOpExecutor* executor, \
                   aclrtStream stream) {                                              \
    return launch(#NAME, {workspace, workspace_size}, executor, stream);              \
  }

}  // namespace ascend_stand_in
