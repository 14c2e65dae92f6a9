#include "device/ascend/executor_cache.h"

#include <cstring>

#include "device/ascend/cann_error.h"
#include "device/buffer.h"

namespace mxvideo::ascend {
namespace {

using Kind = OperatorArgument::Kind;

bool is_tensor(Kind kind) {
  return kind == Kind::kInput || kind == Kind::kOutput || kind == Kind::kInputList;
}

template <class T>
void append(std::string& key, const T& value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// Everything of a call but addresses; of those, which tensors are the same memory.
std::string key_of(const OperatorCall& call) {
  std::string key = call.name;
  key.reserve(512);
  for (const OperatorArgument& argument : call.arguments) {
    append(key, argument.kind);
    if (is_tensor(argument.kind)) {
      const AclView& view = *argument.view;
      append(key, view.type);
      append(key, view.format);
      append(key, view.rank);
      append(key, view.offset());
      append(key, view.dims);
      append(key, view.strides);
      for (const OperatorArgument& other : call.arguments) {
        if (other.view != nullptr) append(key, other.view->data == view.data);
      }
    } else if (argument.kind == Kind::kText) {
      key += argument.text;
    } else if (argument.kind == Kind::kIntegers) {
      for (const int64_t value : argument.integers) append(key, value);
    } else {
      append(key, argument.integer);
      append(key, argument.real);
    }
  }
  return key;
}

std::string in_words(const OperatorCall& call) {
  std::string text = "(";
  for (const OperatorArgument& argument : call.arguments) {
    if (argument.kind == Kind::kAbsent) continue;
    text += (text.size() > 1 ? ", " : "") + argument.in_words();
  }
  return text + ")";
}

}  // namespace

ExecutorCache::~ExecutorCache() { clear_executors(); }

ExecutorCache::Prepared ExecutorCache::prepare(const OperatorCall& call) const {
  Prepared prepared;
  prepared.arguments.reserve(call.arguments.size());
  for (const OperatorArgument& argument : call.arguments) {
    prepared.arguments.emplace_back(cann_, argument);
  }
  const int32_t status = call.prepare(prepared.arguments, &prepared.workspace, &prepared.executor);
  if (status != 0) {
    fail(cann_, std::string(call.name) + "GetWorkspaceSize", in_words(call), status);
  }
  return prepared;
}

void ExecutorCache::exchange_addresses(const Prepared& prepared, const OperatorCall& call) const {
  size_t input = 0;
  size_t output = 0;
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    const OperatorArgument& argument = call.arguments[i];
    void* handle = prepared.arguments[i].handle();
    int32_t status = 0;
    if (argument.kind == Kind::kInput) {
      status = cann_.aclSetInputTensorAddr(prepared.executor, input++,
                                           static_cast<AclTensor*>(handle), argument.view->base());
    } else if (argument.kind == Kind::kOutput) {
      status = cann_.aclSetOutputTensorAddr(prepared.executor, output++,
                                            static_cast<AclTensor*>(handle), argument.view->base());
    } else if (argument.kind == Kind::kAbsent) {
      ++input;  // an absent parameter keeps its place
    }
    if (status != 0) {
      const bool to = argument.kind == Kind::kOutput;
      fail(cann_, to ? "aclSetOutputTensorAddr" : "aclSetInputTensorAddr",
           "of " + std::string(call.name) + in_words(call), status);
    }
  }
}

void ExecutorCache::launch(const Prepared& prepared, const OperatorCall& call, AclStream stream) {
  Buffer workspace(memory_, static_cast<int64_t>(prepared.workspace));
  const int32_t status = call.run(workspace.data(), prepared.workspace, prepared.executor, stream);
  if (status != 0) fail(cann_, call.name, in_words(call), status);
  ++launches_;
}

void ExecutorCache::run(const OperatorCall& call, AclStream stream) {
  if (!call.repeatable) {
    Prepared prepared = prepare(call);
    launch(prepared, call, stream);
    finished_.push_back(std::move(prepared.arguments));
    return;
  }
  std::string key = key_of(call);
  auto found = executors_.find(key);
  if (found == executors_.end()) {
    Prepared prepared = prepare(call);
    const int32_t status = cann_.aclSetAclOpExecutorRepeatable(prepared.executor);
    if (status != 0) {
      cann_.aclDestroyAclOpExecutor(prepared.executor);
      fail(cann_, "aclSetAclOpExecutorRepeatable", std::string("of ") + call.name, status);
    }
    found = executors_.emplace(std::move(key), std::move(prepared)).first;
  } else {
    exchange_addresses(found->second, call);
  }
  launch(found->second, call, stream);
}

void ExecutorCache::release_finished() {
  finished_.clear();
  if (executors_.size() >= kMostKept) clear_executors();
}

void ExecutorCache::clear_executors() noexcept {
  for (auto& [key, prepared] : executors_) cann_.aclDestroyAclOpExecutor(prepared.executor);
  executors_.clear();
}

}  // namespace mxvideo::ascend
