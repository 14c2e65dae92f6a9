// The backend and the stand-in declare CANN's functions apart from each other; here every function
// that the backend calls is compared with the stand-in's declaration, by name and type.
#include <gtest/gtest.h>

#include <type_traits>

#include "device/ascend/cann_library.h"
#include "support/ascend_stand_in/acl_api.h"

namespace mxvideo::test {
namespace {

// What both sides' own names stand for.
struct Tensor;
struct Scalar;
struct IntArray;
struct TensorList;
struct Executor;

template <class T>
struct Plain {
  using type = std::conditional_t<std::is_enum_v<T>, int32_t, T>;
};
template <class T>
struct Plain<const T> {
  using type = const typename Plain<T>::type;
};
template <class T>
struct Plain<T*> {
  using type = typename Plain<T>::type*;
};
#define MXVIDEO_STANDS_FOR(ours, theirs, meaning) \
  template <>                                     \
  struct Plain<ascend::ours> {                    \
    using type = meaning;                         \
  };                                              \
  template <>                                     \
  struct Plain<ascend_stand_in::theirs> {         \
    using type = meaning;                         \
  }
MXVIDEO_STANDS_FOR(AclTensor, aclTensor, Tensor);
MXVIDEO_STANDS_FOR(AclScalar, aclScalar, Scalar);
MXVIDEO_STANDS_FOR(AclIntArray, aclIntArray, IntArray);
MXVIDEO_STANDS_FOR(AclTensorList, aclTensorList, TensorList);
MXVIDEO_STANDS_FOR(AclOpExecutor, aclOpExecutor, Executor);

template <class Result, class... Parameters>
struct Plain<Result(Parameters...)> {
  using type = typename Plain<Result>::type(typename Plain<Parameters>::type...);
};

// Compares the function types that two pointers or references to functions have.
template <class A, class B>
constexpr bool same() {
  using Left = typename Plain<std::remove_pointer_t<std::remove_cvref_t<A>>>::type;
  using Right = typename Plain<std::remove_pointer_t<std::remove_cvref_t<B>>>::type;
  return std::is_same_v<Left, Right>;
}

static_assert(sizeof(ascend_stand_in::aclDataType) == sizeof(int32_t));
static_assert(same<int (*)(const ascend::AclTensor*, ascend::AclType),
                   int (*)(const ascend_stand_in::aclTensor*, ascend_stand_in::aclDataType)>());
static_assert(!same<int (*)(const ascend::AclTensor*), int (*)(ascend_stand_in::aclTensor*)>());
static_assert(
    !same<int (*)(const ascend::AclTensor*), int (*)(const ascend_stand_in::aclScalar*)>());
static_assert(!same<int (*)(float), int (*)(double)>());

#define MXVIDEO_COMPARE(result, name, parameters)                                                \
  static_assert(same<decltype(ascend::CannFunctions::name), decltype(&ascend_stand_in::name)>(), \
                #name);
MXVIDEO_CANN_FUNCTIONS(MXVIDEO_COMPARE)
#undef MXVIDEO_COMPARE

#define MXVIDEO_COMPARE(name, ...)                                                                 \
  static_assert(same<decltype(ascend::CannFunctions::name)::Prepare,                               \
                     decltype(&ascend_stand_in::aclnn##name##GetWorkspaceSize)>(),                 \
                #name);                                                                            \
  static_assert(                                                                                   \
      same<decltype(ascend::CannFunctions::name)::Run, decltype(&ascend_stand_in::aclnn##name)>(), \
      #name);
MXVIDEO_CANN_OPERATORS(MXVIDEO_COMPARE)
#undef MXVIDEO_COMPARE

// The numbers, too.
using ascend::AclFormat;
using ascend::AclType;
template <class T>
constexpr int32_t number(T value) {
  return static_cast<int32_t>(value);
}
static_assert(number(AclType::kFloat) == number(ascend_stand_in::ACL_FLOAT));
static_assert(number(AclType::kFloat16) == number(ascend_stand_in::ACL_FLOAT16));
static_assert(number(AclType::kInt8) == number(ascend_stand_in::ACL_INT8));
static_assert(number(AclType::kInt32) == number(ascend_stand_in::ACL_INT32));
static_assert(number(AclType::kUint8) == number(ascend_stand_in::ACL_UINT8));
static_assert(number(AclType::kInt64) == number(ascend_stand_in::ACL_INT64));
static_assert(number(AclType::kBool) == number(ascend_stand_in::ACL_BOOL));
static_assert(number(AclType::kBf16) == number(ascend_stand_in::ACL_BF16));
static_assert(number(AclType::kE4m3) == number(ascend_stand_in::ACL_FLOAT8_E4M3FN));
static_assert(number(AclType::kE8m0) == number(ascend_stand_in::ACL_FLOAT8_E8M0));
static_assert(number(AclFormat::kNd) == number(ascend_stand_in::ACL_FORMAT_ND));
static_assert(number(AclFormat::kNcdhw) == number(ascend_stand_in::ACL_FORMAT_NCDHW));
static_assert(ascend::kMallocHugeFirst == ascend_stand_in::ACL_MEM_MALLOC_HUGE_FIRST);
static_assert(ascend::kHostToDevice == ascend_stand_in::ACL_MEMCPY_HOST_TO_DEVICE);
static_assert(ascend::kDeviceToHost == ascend_stand_in::ACL_MEMCPY_DEVICE_TO_HOST);
static_assert(ascend::kDeviceToDevice == ascend_stand_in::ACL_MEMCPY_DEVICE_TO_DEVICE);
static_assert(ascend::kHbmMemory == ascend_stand_in::ACL_HBM_MEM);
static_assert((ascend::kEventFlags & ascend_stand_in::ACL_EVENT_SYNC) != 0);
static_assert(ascend::kRepeatInitialize == ascend_stand_in::ACL_ERROR_REPEAT_INITIALIZE);
static_assert(ascend::kMemoryAllocation == ascend_stand_in::ACL_ERROR_RT_MEMORY_ALLOCATION);
static_assert(ascend::kNullParameter == ascend_stand_in::ACLNN_ERR_PARAM_NULLPTR);
static_assert(ascend::kInvalidParameter == ascend_stand_in::ACLNN_ERR_PARAM_INVALID);
static_assert(ascend::kUnsupportedPlatform == ascend_stand_in::ACLNN_ERR_RUNTIME_ERROR);

// What was compared is what is loaded: the backend finds every function in the stand-in's
// directory, under CANN's three names.
TEST(CannPrototypesTest, TheBackendFindsEveryFunctionInTheStandIn) {
  const ascend::CannLibrary cann(MXVIDEO_ASCEND_STAND_IN_DIR);
  EXPECT_NE(cann.aclrtMalloc, nullptr);
  EXPECT_EQ(cann.aclInit(nullptr), 0);
  EXPECT_EQ(cann.aclInit(nullptr), ascend::kRepeatInitialize);
}

}  // namespace
}  // namespace mxvideo::test
