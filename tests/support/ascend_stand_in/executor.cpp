#include "support/ascend_stand_in/executor.h"

#include <algorithm>

#include "support/ascend_stand_in/memory.h"
#include "support/ascend_stand_in/queue.h"

namespace ascend_stand_in {
namespace {

constexpr std::byte kWorkspaceByte{0xee};

[[noreturn]] void refuse_null(const char* name) {
  refuse(ACLNN_ERR_PARAM_NULLPTR, std::string(name) + " is null");
}

// The bytes of an operand as the second phase finds them.
Access check_operand(World& w, const Executor& executor, const Operand& operand, bool write) {
  const Tensor& tensor = *operand.tensor;
  const std::string where = executor.op + ", " + operand.name + ": ";
  if (!tensor.alive) {
    w.misuse(where + "the aclTensor was destroyed before the second phase");
    refuse(ACLNN_ERR_INNER_NULLPTR, operand.name + " is not valid");
  }
  if (tensor.address == 0) {
    refuse(ACLNN_ERR_PARAM_NULLPTR, operand.name + " has no address");
  }
  const auto bytes = static_cast<uintptr_t>(bytes_of(tensor.dtype));
  const auto storage = static_cast<size_t>(count_of(tensor.storage)) * bytes;
  const std::shared_ptr<Block> block = w.memory->find(tensor.address);
  if (block == nullptr || !block->device) {
    w.misuse(where + "the address is not in device memory that is allocated");
    refuse(ACLNN_ERR_PARAM_INVALID, operand.name + " is not in device memory");
  }
  if (!block->holds(tensor.address, storage)) {
    w.misuse(where + "its storage " + text_of(tensor.storage) + " of " + name_of(tensor.dtype) +
             " reaches beyond the allocation");
    refuse(ACLNN_ERR_PARAM_INVALID, operand.name + " reaches beyond its allocation");
  }
  const uintptr_t begin = tensor.address + static_cast<uintptr_t>(tensor.offset) * bytes;
  const auto reach = static_cast<uintptr_t>(reach_of(tensor.dims, tensor.strides)) * bytes;
  return {.block = block, .begin = begin, .end = begin + reach, .write = write};
}

void collect(World& w, const Executor& executor, bool output, Operands& operands, Task& task) {
  for (const Operand& operand : output ? executor.outputs : executor.inputs) {
    View view;
    if (operand.tensor != nullptr) {
      const Access access = check_operand(w, executor, operand, output);
      const Tensor& tensor = *operand.tensor;
      view = {access.block->at(access.begin), tensor.dims, tensor.strides, tensor.dtype};
      if (access.end > access.begin) task.accesses.push_back(access);
    }
    (output ? operands.out : operands.in).push_back(view);
  }
}

// Null when the operator needs none.
std::byte* check_workspace(World& w, const Executor& executor, const Workspace& given, Task& task) {
  if (executor.workspace == 0) return nullptr;
  if (given.address == nullptr) refuse(ACLNN_ERR_PARAM_NULLPTR, "the workspace is null");
  const auto address = reinterpret_cast<uintptr_t>(given.address);
  const std::shared_ptr<Block> block = w.memory->find(address);
  const bool small = given.bytes < executor.workspace;
  if (small || block == nullptr || !block->device || !block->holds(address, executor.workspace)) {
    w.misuse(executor.op + ": the workspace of " + std::to_string(given.bytes) + " bytes " +
             (small ? "is smaller than" : "is not device memory of") + " the " +
             std::to_string(executor.workspace) + " that the first phase asked for");
    refuse(ACLNN_ERR_PARAM_INVALID, "the workspace is too small");
  }
  task.accesses.push_back(
      {.block = block, .begin = address, .end = address + executor.workspace, .write = true});
  return block->at(address);
}

void queue_work(World& w, const Executor& executor, const Workspace& given, aclrtStream stream) {
  Task task{.name = executor.op, .run = {}, .accesses = {}};
  Operands operands;
  std::byte* scratch = check_workspace(w, executor, given, task);
  collect(w, executor, false, operands, task);
  collect(w, executor, true, operands, task);
  const auto scratch_bytes = scratch == nullptr ? 0 : executor.workspace;
  task.run = [compute = executor.compute, operands = std::move(operands), scratch, scratch_bytes] {
    std::fill_n(scratch, scratch_bytes, kWorkspaceByte);
    compute(operands);
  };
  w.queue->submit(stream, std::move(task));
  ++w.counters.launches;
  ++w.launches[executor.op];
}

}  // namespace

Operand Plan::operand(const aclTensor* handle, const char* name) {
  if (handle == nullptr) return {.name = name, .tensor = nullptr, .handle = nullptr};
  return {.name = name,
          .tensor = find_handle(world_, world_.handles->tensors, handle, name),
          .handle = handle};
}

const Tensor* Plan::optional_input(const aclTensor* handle, const char* name) {
  executor_.inputs.push_back(operand(handle, name));
  return executor_.inputs.back().tensor.get();
}

const Tensor& Plan::input(const aclTensor* handle, const char* name) {
  if (handle == nullptr) refuse_null(name);
  return *optional_input(handle, name);
}

std::vector<const Tensor*> Plan::inputs(const aclTensorList* handle, const char* name) {
  if (handle == nullptr) refuse_null(name);
  std::vector<const Tensor*> tensors;
  for (const void* tensor :
       find_handle(world_, world_.handles->tensor_lists, handle, name).tensors) {
    tensors.push_back(&input(static_cast<const aclTensor*>(tensor), name));
  }
  require(!tensors.empty(), std::string(name) + " is empty");
  return tensors;
}

const Tensor* Plan::optional_output(const aclTensor* handle, const char* name) {
  executor_.outputs.push_back(operand(handle, name));
  return executor_.outputs.back().tensor.get();
}

const Tensor& Plan::output(const aclTensor* handle, const char* name) {
  if (handle == nullptr) refuse_null(name);
  return *optional_output(handle, name);
}

double Plan::scalar(const aclScalar* handle, const char* name) {
  if (handle == nullptr) refuse_null(name);
  return find_handle(world_, world_.handles->scalars, handle, name).value;
}

std::vector<int64_t> Plan::integers(const aclIntArray* handle, const char* name) {
  if (handle == nullptr) refuse_null(name);
  return find_handle(world_, world_.handles->int_arrays, handle, name).values;
}

void Plan::require(bool holds, const std::string& what) const {
  if (!holds) refuse(ACLNN_ERR_PARAM_INVALID, what);
}

void Plan::require_type(const Tensor& tensor, const char* name,
                        std::initializer_list<aclDataType> types) const {
  if (std::find(types.begin(), types.end(), tensor.dtype) != types.end()) return;
  std::string allowed;
  for (const aclDataType type : types) allowed += (allowed.empty() ? "" : ", ") + name_of(type);
  refuse(ACLNN_ERR_PARAM_INVALID,
         std::string(name) + " is " + name_of(tensor.dtype) + ", expected " + allowed);
}

void Plan::require_dims(const Tensor& tensor, const char* name, const Dims& dims) const {
  require(tensor.dims == dims,
          std::string(name) + " is " + text_of(tensor.dims) + ", expected " + text_of(dims));
}

void Plan::require_rank(const Tensor& tensor, const char* name, int64_t least, int64_t most) const {
  require(tensor.rank() >= least && tensor.rank() <= most,
          std::string(name) + " has " + std::to_string(tensor.rank()) + " dimensions, expected " +
              std::to_string(least) + " to " + std::to_string(most));
}

void Plan::require_contiguous(const Tensor& tensor, const char* name) const {
  require(tensor.contiguous(), std::string(name) + " is not contiguous");
}

void Plan::require_absent(std::initializer_list<const void*> arguments, const char* names) const {
  const bool none = std::all_of(arguments.begin(), arguments.end(),
                                [](const void* argument) { return argument == nullptr; });
  require(none, std::string("the stand-in does not compute with ") + names);
}

void Plan::require_a5() const {
  if (!world_.is_a5()) {
    refuse(ACLNN_ERR_RUNTIME_ERROR, executor_.op + " is not supported on " + world_.settings.soc);
  }
}

aclnnStatus first_phase(const FirstPhase& phase, const std::function<void(Plan&)>& describe) {
  return run_call({.name = phase.name, .injected_status = ACLNN_ERR_INNER}, [&](World& w) {
    if (phase.workspace_size == nullptr) refuse_null("workspaceSize");
    if (phase.executor == nullptr) refuse_null("executor");
    require_context(w);
    Plan plan(w, phase.op);
    describe(plan);
    auto executor = std::make_shared<Executor>(plan.take());
    *phase.workspace_size = executor->workspace;
    void* handle = w.handles->next();
    w.handles->executors[handle] = std::move(executor);
    ++w.counters.executors;
    *phase.executor = static_cast<aclOpExecutor*>(handle);
  });
}

aclnnStatus launch(const char* op, const Workspace& workspace, aclOpExecutor* handle,
                   aclrtStream stream) {
  const int status =
      run_call({.name = op, .injected_status = ACLNN_ERR_RUNTIME_ERROR}, [&](World& w) {
        require_context(w);
        if (handle == nullptr) refuse(ACLNN_ERR_INNER_NULLPTR, "executor is null");
        const auto found = w.handles->executors.find(handle);
        if (found == w.handles->executors.end()) {
          w.misuse(std::string(op) +
                   ": the executor is used up or destroyed; only one that is "
                   "repeatable may be launched twice");
          refuse(ACLNN_ERR_INNER_NULLPTR, "the executor is not valid");
        }
        const std::shared_ptr<Executor> executor = found->second;
        if (executor->op != op) {
          w.misuse(std::string(op) + " was given an executor of " + executor->op);
          refuse(ACLNN_ERR_PARAM_INVALID, "the executor is of " + executor->op);
        }
        queue_work(w, *executor, workspace, stream);
      });
  World& w = world();
  const std::lock_guard lock(w.mutex);
  // The second phase uses an executor up, whatever its answer.
  const auto found = w.handles->executors.find(handle);
  if (found != w.handles->executors.end() && !found->second->repeatable) {
    w.handles->executors.erase(found);
    --w.counters.executors;
  }
  return status;
}

bool broadcast(const Dims& a, const Dims& b, Dims& out) {
  const size_t rank = std::max(a.size(), b.size());
  out.assign(rank, 1);
  for (size_t d = 0; d < rank; ++d) {
    const int64_t left = d < rank - a.size() ? 1 : a[d - (rank - a.size())];
    const int64_t right = d < rank - b.size() ? 1 : b[d - (rank - b.size())];
    if (left != right && left != 1 && right != 1) return false;
    out[d] = left == 1 ? right : left;
  }
  return true;
}

}  // namespace ascend_stand_in
