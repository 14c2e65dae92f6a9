#include "device/ascend/acl_tensor.h"

#include <algorithm>

#include "base/error.h"
#include "device/ascend/cann_error.h"

namespace mxvideo::ascend {
namespace {

constexpr uintptr_t kAddressGrain = 32;

std::string list(const int64_t* values, int64_t count) {
  std::string text = "[";
  for (int64_t i = 0; i < count; ++i) text += (i > 0 ? ", " : "") + std::to_string(values[i]);
  return text + "]";
}

AclTensor* make_tensor(const CannFunctions& cann, const AclView& view) {
  // What is not dense, or begins within its storage, has one of a single axis, up to its last
  // element.
  std::array<int64_t, AclView::kMaxRank> storage = view.dims;
  int storage_rank = view.rank;
  const int64_t offset = view.offset();
  if (offset != 0 || !view.dense()) {
    storage_rank = 1;
    storage[0] = offset + 1;
    for (int axis = 0; axis < view.rank; ++axis) {
      storage[0] += (view.dims[axis] - 1) * view.strides[axis];
    }
  }
  return cann.aclCreateTensor(view.dims.data(), static_cast<uint64_t>(view.rank),
                              static_cast<int32_t>(view.type), view.strides.data(), offset,
                              static_cast<int32_t>(view.format), storage.data(),
                              static_cast<uint64_t>(storage_rank), view.base());
}

void expect_made(const CannFunctions& cann, const char* function, const void* handle,
                 const OperatorArgument& argument) {
  if (handle == nullptr) fail(cann, function, "of " + argument.in_words(), kNullParameter);
}

}  // namespace

AclView::AclView(const void* address, AclType element, std::initializer_list<int64_t> extents)
    : AclView(address, element, std::span<const int64_t>(extents.begin(), extents.size())) {}

AclView::AclView(const void* address, AclType element, std::span<const int64_t> extents)
    : data(const_cast<void*>(address)), type(element), rank(static_cast<int>(extents.size())) {
  check(rank <= kMaxRank, "a view of more axes than CANN takes");
  std::copy(extents.begin(), extents.end(), dims.begin());
  int64_t step = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    strides[axis] = step;
    step *= dims[axis];
  }
}

AclView::AclView(const void* address, AclType element, std::span<const int64_t> extents,
                 std::span<const int64_t> steps)
    : AclView(address, element, extents) {
  check(steps.size() == extents.size(), "as many strides as axes");
  std::copy(steps.begin(), steps.end(), strides.begin());
}

AclView AclView::in(AclFormat other) const {
  AclView view = *this;
  view.format = other;
  return view;
}

int64_t AclView::count() const {
  int64_t product = 1;
  for (int axis = 0; axis < rank; ++axis) product *= dims[axis];
  return product;
}

bool AclView::dense() const {
  int64_t step = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    if (dims[axis] != 1 && strides[axis] != step) return false;
    step *= dims[axis];
  }
  return true;
}

void* AclView::base() const {
  auto* const address = static_cast<std::byte*>(data);
  return address - reinterpret_cast<uintptr_t>(address) % kAddressGrain;
}

int64_t AclView::offset() const {
  return static_cast<int64_t>(reinterpret_cast<uintptr_t>(data) % kAddressGrain) / type_size(type);
}

std::string AclView::in_words() const {
  std::string text = list(dims.data(), rank) + " " + type_name(type);
  if (!dense()) text += " of strides " + list(strides.data(), rank);
  return text;
}

int64_t type_size(AclType type) noexcept {
  switch (type) {
    case AclType::kInt64:
      return 8;
    case AclType::kFloat:
    case AclType::kInt32:
      return 4;
    case AclType::kFloat16:
    case AclType::kBf16:
      return 2;
    default:
      return 1;
  }
}

const char* type_name(AclType type) noexcept {
  switch (type) {
    case AclType::kFloat:
      return "FP32";
    case AclType::kFloat16:
      return "FP16";
    case AclType::kInt8:
      return "INT8";
    case AclType::kInt32:
      return "INT32";
    case AclType::kUint8:
      return "UINT8";
    case AclType::kInt64:
      return "INT64";
    case AclType::kBool:
      return "BOOL";
    case AclType::kBf16:
      return "BF16";
    case AclType::kE4m3:
      return "E4M3";
    case AclType::kE8m0:
      return "E8M0";
  }
  return "?";
}

std::string OperatorArgument::in_words() const {
  switch (kind) {
    case Kind::kAbsent:
      return "none";
    case Kind::kInput:
    case Kind::kInputList:
      return view->in_words();
    case Kind::kOutput:
      return "to " + view->in_words();
    case Kind::kInteger:
      return std::to_string(integer);
    case Kind::kReal:
    case Kind::kScalar:
      return std::to_string(real);
    case Kind::kIntegers:
      return list(integers.data(), static_cast<int64_t>(integers.size()));
    case Kind::kText:
      return text;
  }
  return "";
}

AclArgument::AclArgument(const CannFunctions& cann, const OperatorArgument& argument)
    : cann_(&cann), kind_(argument.kind), integer_(argument.integer), real_(argument.real) {
  using Kind = OperatorArgument::Kind;
  switch (kind_) {
    case Kind::kInput:
    case Kind::kOutput:
      handle_ = make_tensor(cann, *argument.view);
      expect_made(cann, "aclCreateTensor", handle_, argument);
      break;
    case Kind::kInputList: {
      AclTensor* tensor = make_tensor(cann, *argument.view);
      expect_made(cann, "aclCreateTensor", tensor, argument);
      handle_ = cann.aclCreateTensorList(&tensor, 1);
      if (handle_ == nullptr) cann.aclDestroyTensor(tensor);
      expect_made(cann, "aclCreateTensorList", handle_, argument);
      break;
    }
    case Kind::kScalar: {
      auto value = static_cast<float>(argument.real);
      handle_ = cann.aclCreateScalar(&value, static_cast<int32_t>(AclType::kFloat));
      expect_made(cann, "aclCreateScalar", handle_, argument);
      break;
    }
    case Kind::kIntegers:
      handle_ = cann.aclCreateIntArray(argument.integers.data(), argument.integers.size());
      expect_made(cann, "aclCreateIntArray", handle_, argument);
      break;
    case Kind::kText:
      text_ = argument.text;
      break;
    case Kind::kAbsent:
    case Kind::kInteger:
    case Kind::kReal:
      break;
  }
}

void AclArgument::destroy() noexcept {
  using Kind = OperatorArgument::Kind;
  if (handle_ == nullptr) return;
  if (kind_ == Kind::kInput || kind_ == Kind::kOutput) {
    cann_->aclDestroyTensor(static_cast<AclTensor*>(handle_));
  } else if (kind_ == Kind::kInputList) {
    cann_->aclDestroyTensorList(static_cast<AclTensorList*>(handle_));
  } else if (kind_ == Kind::kScalar) {
    cann_->aclDestroyScalar(static_cast<AclScalar*>(handle_));
  } else if (kind_ == Kind::kIntegers) {
    cann_->aclDestroyIntArray(static_cast<AclIntArray*>(handle_));
  }
}

AclStreamOwner::AclStreamOwner(const CannFunctions& cann) : cann_(cann) {
  expect_success(cann_, "aclrtCreateStream", cann_.aclrtCreateStream(&stream_));
}

AclStreamOwner::~AclStreamOwner() { cann_.aclrtDestroyStream(stream_); }

void AclStreamOwner::synchronize() const {
  expect_success(cann_, "aclrtSynchronizeStream", cann_.aclrtSynchronizeStream(stream_));
}

AclEventOwner::AclEventOwner(const CannFunctions& cann) : cann_(cann) {
  expect_success(cann_, "aclrtCreateEventWithFlag",
                 cann_.aclrtCreateEventWithFlag(&event_, kEventFlags));
}

AclEventOwner::~AclEventOwner() { cann_.aclrtDestroyEvent(event_); }

void AclEventOwner::record(AclStream stream) {
  expect_success(cann_, "aclrtRecordEvent", cann_.aclrtRecordEvent(event_, stream));
  recorded_ = true;
}

void AclEventOwner::hold(AclStream stream) const {
  if (!recorded_) return;
  expect_success(cann_, "aclrtStreamWaitEvent", cann_.aclrtStreamWaitEvent(stream, event_));
}

void AclEventOwner::synchronize() const {
  if (!recorded_) return;
  expect_success(cann_, "aclrtSynchronizeEvent", cann_.aclrtSynchronizeEvent(event_));
}

}  // namespace mxvideo::ascend
