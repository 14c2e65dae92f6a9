// libnnopbase: tensors, numbers, arrays, lists, and executors that are used again.
#include <algorithm>
#include <cstring>

#include "formats/half.h"
#include "support/ascend_stand_in/executor.h"
#include "support/ascend_stand_in/handles.h"

namespace ascend_stand_in {
namespace {

constexpr int64_t kMaxRank = 8;
constexpr uintptr_t kAddressAlignment = 32;

CallInfo creating(const char* name) {
  return {.name = name, .injected_status = ACLNN_ERR_INNER, .injection = Injection::kInstead};
}

CallInfo destroying(const char* name) {
  return {.name = name, .injected_status = ACLNN_ERR_INNER, .injection = Injection::kAfter};
}

void check_dims(const Dims& dims, const char* name) {
  const bool negative = std::any_of(dims.begin(), dims.end(), [](int64_t d) { return d < 0; });
  if (negative || static_cast<int64_t>(dims.size()) > kMaxRank) {
    refuse(ACLNN_ERR_PARAM_INVALID, std::string(name) + " " + text_of(dims));
  }
}

void check_address(World& w, uintptr_t address) {
  if (address % kAddressAlignment != 0) {
    w.misuse("the address of a tensor is no multiple of 32");
  }
}

Tensor describe(const Dims& dims, const int64_t* stride, const Dims& storage) {
  Tensor tensor;
  tensor.dims = dims;
  tensor.storage = storage;
  tensor.strides =
      stride == nullptr ? contiguous_strides(dims) : Dims(stride, stride + dims.size());
  return tensor;
}

void check_tensor(const Tensor& tensor) {
  check_dims(tensor.dims, "viewDims");
  check_dims(tensor.storage, "storageDims");
  check_dims(tensor.strides, "stride");
  if (bytes_of(tensor.dtype) == 0) {
    refuse(ACLNN_ERR_PARAM_INVALID, name_of(tensor.dtype) + " is unknown to the stand-in");
  }
  const int64_t reach = reach_of(tensor.dims, tensor.strides);
  if (tensor.offset < 0 || tensor.offset + reach > count_of(tensor.storage)) {
    refuse(ACLNN_ERR_PARAM_INVALID, "the view " + text_of(tensor.dims) + " with strides " +
                                        text_of(tensor.strides) + " and offset " +
                                        std::to_string(tensor.offset) +
                                        " reaches beyond the storage " + text_of(tensor.storage));
  }
}

double scalar_value(const void* value, aclDataType dtype) {
  const auto load = [value](auto type) {
    std::memcpy(&type, value, sizeof(type));
    return type;
  };
  switch (dtype) {
    case ACL_FLOAT:
      return load(float{});
    case ACL_DOUBLE:
      return load(double{});
    case ACL_BF16:
      return mxvideo::formats::decode_bf16(load(uint16_t{}));
    case ACL_FLOAT16:
      return mxvideo::formats::decode_fp16(load(uint16_t{}));
    case ACL_INT32:
      return load(int32_t{});
    case ACL_INT64:
      return static_cast<double>(load(int64_t{}));
    default:
      refuse(ACLNN_ERR_PARAM_INVALID, name_of(dtype) + " is unknown to the stand-in");
  }
}

void destroy_tensor(World& w, const void* handle) {
  find_handle(w, w.handles->tensors, handle, "tensor")->alive = false;
  w.handles->tensors.erase(handle);
  --w.counters.tensors;
}

// Addresses are exchanged by the position among the operator's inputs (or outputs), with or
// without those that were not given: the document numbers "the input tensors", and the published
// code goes by the tensor.
bool at_position(const std::vector<Operand>& operands, size_t index, const void* handle) {
  size_t given = 0;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (operands[i].handle == handle && (i == index || given == index)) return true;
    if (operands[i].handle != nullptr) ++given;
  }
  return false;
}

struct Position {
  size_t index;
  const void* tensor;
};

struct NewAddress {
  std::string call;
  void* address;
};

void exchange(World& w, const Executor& executor, const std::vector<Operand>& operands,
              const Position& position, const NewAddress& to) {
  Tensor& changed = *find_handle(w, w.handles->tensors, position.tensor, "tensor");
  if (!at_position(operands, position.index, position.tensor)) {
    w.misuse(to.call + ": the tensor is not operand " + std::to_string(position.index) + " of " +
             executor.op);
    refuse(ACLNN_ERR_PARAM_INVALID, "the tensor is not the executor's at that index");
  }
  if (!executor.repeatable) {
    w.misuse(to.call + ": the executor of " + executor.op + " is not repeatable");
  }
  changed.address = reinterpret_cast<uintptr_t>(to.address);
  check_address(w, changed.address);
}

aclnnStatus set_address(const CallInfo& info, aclOpExecutor* executor, const Position& position,
                        void* address) {
  return run_call(info, [&](World& w) {
    if (executor == nullptr) refuse(ACLNN_ERR_INNER_NULLPTR, "executor is null");
    if (position.tensor == nullptr) refuse(ACLNN_ERR_INNER_NULLPTR, "tensor is null");
    const Executor& made = *find_handle(w, w.handles->executors, executor, "executor");
    const bool input = info.name == std::string("aclSetInputTensorAddr");
    const std::vector<Operand>& operands = input ? made.inputs : made.outputs;
    if (position.index >= operands.size()) {
      refuse(ACLNN_ERR_PARAM_INVALID, "index " + std::to_string(position.index) + " of " +
                                          std::to_string(operands.size()) + " tensors");
    }
    exchange(w, made, operands, position, {info.name, address});
  });
}

}  // namespace

aclTensor* aclCreateTensor(const int64_t* view_dims, uint64_t view_dims_num, aclDataType data_type,
                           const int64_t* stride, int64_t offset, aclFormat format,
                           const int64_t* storage_dims, uint64_t storage_dims_num, void* address) {
  void* handle = nullptr;
  run_call(creating("aclCreateTensor"), [&](World& w) {
    const bool missing = (view_dims == nullptr && view_dims_num > 0) ||
                         (storage_dims == nullptr && storage_dims_num > 0);
    if (missing) refuse(ACLNN_ERR_PARAM_NULLPTR, "dims are null");
    auto tensor =
        std::make_shared<Tensor>(describe(Dims(view_dims, view_dims + view_dims_num), stride,
                                          Dims(storage_dims, storage_dims + storage_dims_num)));
    tensor->offset = offset;
    tensor->dtype = data_type;
    tensor->format = format;
    tensor->address = reinterpret_cast<uintptr_t>(address);
    check_tensor(*tensor);
    check_address(w, tensor->address);
    handle = w.handles->next();
    w.handles->tensors[handle] = std::move(tensor);
    ++w.counters.tensors;
  });
  return static_cast<aclTensor*>(handle);
}

aclScalar* aclCreateScalar(void* value, aclDataType data_type) {
  void* handle = nullptr;
  run_call(creating("aclCreateScalar"), [&](World& w) {
    if (value == nullptr) refuse(ACLNN_ERR_PARAM_NULLPTR, "value is null");
    const Scalar scalar{scalar_value(value, data_type), data_type};
    handle = w.handles->next();
    w.handles->scalars[handle] = scalar;
    ++w.counters.scalars;
  });
  return static_cast<aclScalar*>(handle);
}

aclIntArray* aclCreateIntArray(const int64_t* values, uint64_t size) {
  void* handle = nullptr;
  run_call(creating("aclCreateIntArray"), [&](World& w) {
    if (values == nullptr && size > 0) refuse(ACLNN_ERR_PARAM_NULLPTR, "value is null");
    handle = w.handles->next();
    w.handles->int_arrays[handle] = {std::vector<int64_t>(values, values + size)};
    ++w.counters.int_arrays;
  });
  return static_cast<aclIntArray*>(handle);
}

aclTensorList* aclCreateTensorList(const aclTensor* const* tensors, uint64_t size) {
  void* handle = nullptr;
  run_call(creating("aclCreateTensorList"), [&](World& w) {
    if (tensors == nullptr) refuse(ACLNN_ERR_PARAM_NULLPTR, "value is null");
    TensorList list;
    for (uint64_t i = 0; i < size; ++i) {
      find_handle(w, w.handles->tensors, tensors[i], "a tensor of the list");
      list.tensors.push_back(tensors[i]);
    }
    handle = w.handles->next();
    w.handles->tensor_lists[handle] = std::move(list);
    ++w.counters.tensor_lists;
  });
  return static_cast<aclTensorList*>(handle);
}

aclnnStatus aclDestroyTensor(const aclTensor* tensor) {
  return run_call(destroying("aclDestroyTensor"), [&](World& w) { destroy_tensor(w, tensor); });
}

aclnnStatus aclDestroyScalar(const aclScalar* scalar) {
  return run_call(destroying("aclDestroyScalar"), [&](World& w) {
    find_handle(w, w.handles->scalars, scalar, "scalar");
    w.handles->scalars.erase(scalar);
    --w.counters.scalars;
  });
}

aclnnStatus aclDestroyIntArray(const aclIntArray* array) {
  return run_call(destroying("aclDestroyIntArray"), [&](World& w) {
    find_handle(w, w.handles->int_arrays, array, "array");
    w.handles->int_arrays.erase(array);
    --w.counters.int_arrays;
  });
}

// "The tensors of the list need not be destroyed again."
aclnnStatus aclDestroyTensorList(const aclTensorList* list) {
  return run_call(destroying("aclDestroyTensorList"), [&](World& w) {
    const TensorList tensors = find_handle(w, w.handles->tensor_lists, list, "list");
    for (const void* tensor : tensors.tensors) destroy_tensor(w, tensor);
    w.handles->tensor_lists.erase(list);
    --w.counters.tensor_lists;
  });
}

aclnnStatus aclSetAclOpExecutorRepeatable(aclOpExecutor* executor) {
  return run_call(creating("aclSetAclOpExecutorRepeatable"), [&](World& w) {
    if (executor == nullptr) refuse(ACLNN_ERR_INNER_NULLPTR, "executor is null");
    find_handle(w, w.handles->executors, executor, "executor")->repeatable = true;
  });
}

aclnnStatus aclDestroyAclOpExecutor(aclOpExecutor* executor) {
  return run_call(destroying("aclDestroyAclOpExecutor"), [&](World& w) {
    if (executor == nullptr) refuse(ACLNN_ERR_INNER_NULLPTR, "executor is null");
    find_handle(w, w.handles->executors, executor, "executor");
    w.handles->executors.erase(executor);
    --w.counters.executors;
  });
}

aclnnStatus aclSetInputTensorAddr(aclOpExecutor* executor, const size_t index, aclTensor* tensor,
                                  void* address) {
  return set_address(creating("aclSetInputTensorAddr"), executor, {index, tensor}, address);
}

aclnnStatus aclSetOutputTensorAddr(aclOpExecutor* executor, const size_t index, aclTensor* tensor,
                                   void* address) {
  return set_address(creating("aclSetOutputTensorAddr"), executor, {index, tensor}, address);
}

aclnnStatus aclSetDynamicInputTensorAddr(aclOpExecutor* executor, size_t ir_index,
                                         const size_t relative_index, aclTensorList* tensors,
                                         void* address) {
  return run_call(creating("aclSetDynamicInputTensorAddr"), [&](World& w) {
    if (executor == nullptr) refuse(ACLNN_ERR_INNER_NULLPTR, "executor is null");
    if (tensors == nullptr) refuse(ACLNN_ERR_INNER_NULLPTR, "tensors is null");
    const Executor& made = *find_handle(w, w.handles->executors, executor, "executor");
    const TensorList& list = find_handle(w, w.handles->tensor_lists, tensors, "list");
    if (relative_index >= list.tensors.size() || ir_index >= made.inputs.size()) {
      refuse(ACLNN_ERR_PARAM_INVALID, "index " + std::to_string(ir_index) + ", " +
                                          std::to_string(relative_index) + " is out of range");
    }
    // With lists of one tensor, as all that the stand-in computes, positions are those of tensors.
    exchange(w, made, made.inputs, {ir_index, list.tensors[relative_index]},
             {"aclSetDynamicInputTensorAddr", address});
  });
}

}  // namespace ascend_stand_in
