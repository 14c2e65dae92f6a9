// Runs CANN's operators on a stream. An executor is prepared once for each (function, types,
// shapes, strides, attributes) and used again with other addresses, where the operator allows it;
// others are prepared for each call. What a queued call refers to is kept until release_finished().
// Workspaces come from the device and go back to it at once, which is stream-ordered. Not
// thread-safe.
//
// Source of the rules: documents of aclSetAclOpExecutorRepeatable, aclSetInputTensorAddr.
#pragma once

#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "device/ascend/acl_tensor.h"
#include "device/device.h"

namespace mxvideo::ascend {

struct OperatorCall {
  const char* name = "";
  bool repeatable = false;
  std::span<const OperatorArgument> arguments = {};
  FunctionRef<int32_t(std::span<AclArgument>, uint64_t*, AclOpExecutor**)> prepare;
  int32_t (*run)(void*, uint64_t, AclOpExecutor*, AclStream) = nullptr;
};

class ExecutorCache {
 public:
  ExecutorCache(const CannFunctions& cann, Device& memory) : cann_(cann), memory_(memory) {}
  ~ExecutorCache();
  ExecutorCache(const ExecutorCache&) = delete;
  ExecutorCache& operator=(const ExecutorCache&) = delete;

  // Throws Code::kDevice or Code::kOutOfMemory with the operator's name and arguments.
  void run(const OperatorCall& call, AclStream stream);
  // Call when all that was launched has run.
  void release_finished();
  // Whether so much waits for release_finished() that the caller should synchronise.
  bool full() const { return finished_.size() >= kMostKept || executors_.size() >= kMostKept; }

  int64_t launches() const { return launches_; }
  int64_t executors() const { return static_cast<int64_t>(executors_.size()); }

 private:
  static constexpr size_t kMostKept = 4096;

  struct Prepared {
    std::vector<AclArgument> arguments;
    AclOpExecutor* executor = nullptr;
    uint64_t workspace = 0;
  };

  Prepared prepare(const OperatorCall& call) const;
  void exchange_addresses(const Prepared& prepared, const OperatorCall& call) const;
  void launch(const Prepared& prepared, const OperatorCall& call, AclStream stream);
  void clear_executors() noexcept;

  const CannFunctions& cann_;
  Device& memory_;
  std::unordered_map<std::string, Prepared> executors_;
  std::vector<std::vector<AclArgument>> finished_;  // arguments of calls that may still be queued
  int64_t launches_ = 0;
};

namespace internal {

template <class... Parameters, size_t... I>
int32_t call_prepare(const CannOperator<Parameters...>& op, std::span<AclArgument> arguments,
                     uint64_t* workspace, AclOpExecutor** executor,
                     std::index_sequence<I...> /*indices*/) {
  return op.prepare(arguments[I].template as<Parameters>()..., workspace, executor);
}

}  // namespace internal

// One call of `op` with an argument for each of its parameters.
template <class... Parameters, class... Arguments>
void run_operator(ExecutorCache& cache, AclStream stream, const CannOperator<Parameters...>& op,
                  const Arguments&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments));
  const OperatorArgument list[] = {OperatorArgument(arguments)...};
  const auto prepare = [&op](std::span<AclArgument> made, uint64_t* workspace,
                             AclOpExecutor** executor) {
    return internal::call_prepare(op, made, workspace, executor,
                                  std::index_sequence_for<Parameters...>());
  };
  cache.run({.name = op.name,
             .repeatable = op.repeatable,
             .arguments = list,
             .prepare = prepare,
             .run = op.run},
            stream);
}

}  // namespace mxvideo::ascend
