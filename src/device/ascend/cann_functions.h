// The functions of CANN that this program calls, by name and type; no header of CANN is needed to
// build. Transcribed from the published documents and headers of CANN 9 for Atlas A5 (Ascend
// 950PR/950DT):
//   runtime: gitcode cann/runtime, include/external/acl/acl_rt.h, acl_base_rt.h
//   tensors, scalars, executors: cann/opbase, aclnn/acl_meta.h
//   aclnnAdd, Mul, Muls, Addcmul, Cast, InplaceCopy, Clamp, IsFinite, All, LogicalNot:
//   cann/ops-math aclnnDynamicMxQuant, QuantMatmulV5, Matmul, LayerNorm, AdaLayerNormV2, RmsNorm,
//   GeluV2, Silu, Convolution, Softmax, IndexSelect: cann/ops-nn aclnnRotaryPositionEmbedding,
//   FusedInferAttentionScoreV5: cann/ops-transformer
// each in the folder docs of its operator. All return a status, 0 on success, unless they say so.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mxvideo::ascend {

struct AclTensor;
struct AclScalar;
struct AclIntArray;
struct AclTensorList;
struct AclOpExecutor;
using AclStream = void*;
using AclEvent = void*;

// aclDataType
enum class AclType : int32_t {
  kFloat = 0,
  kFloat16 = 1,
  kInt8 = 2,
  kInt32 = 3,
  kUint8 = 4,
  kInt64 = 9,
  kBool = 12,
  kBf16 = 27,
  kE4m3 = 36,
  kE8m0 = 37,
};
// aclFormat
enum class AclFormat : int32_t { kNd = 2, kNcdhw = 30 };

inline constexpr int32_t kMallocHugeFirst = 0;                  // aclrtMemMallocPolicy
inline constexpr int32_t kHostToDevice = 1, kDeviceToHost = 2;  // aclrtMemcpyKind
inline constexpr int32_t kDeviceToDevice = 3;
inline constexpr int32_t kHbmMemory = 1;  // aclrtMemAttr ACL_HBM_MEM
// ACL_EVENT_SYNC (streams wait for it) and ACL_EVENT_CAPTURE_STREAM_PROGRESS (the host does).
inline constexpr uint32_t kEventFlags = 1 | 2;
inline constexpr int8_t kKeepDtype = 0;          // cubeMathType
inline constexpr int64_t kMxGroup = 4295032864;  // groupSize of [1, 1, 32]: 32 | 1 << 16 | 1 << 32

// aclError and aclnnStatus
inline constexpr int32_t kRepeatInitialize = 100002;
inline constexpr int32_t kBadAlloc = 200000;
inline constexpr int32_t kStorageOverLimit = 300000;
inline constexpr int32_t kMemoryAllocation = 207001;
inline constexpr int32_t kNullParameter = 161001;
inline constexpr int32_t kInvalidParameter = 161002;
inline constexpr int32_t kUnsupportedPlatform = 361001;

// X(result, name, parameters)
#define MXVIDEO_CANN_FUNCTIONS(X)                                                               \
  X(int32_t, aclInit, (const char* config))                                                     \
  X(int32_t, aclrtGetDeviceCount, (uint32_t * count))                                           \
  X(int32_t, aclrtSetDevice, (int32_t device))                                                  \
  X(int32_t, aclrtResetDevice, (int32_t device))                                                \
  X(const char*, aclrtGetSocName, ())                                                           \
  X(int32_t, aclrtGetMemInfo, (int32_t attribute, size_t * free, size_t * total))               \
  X(int32_t, aclrtMalloc, (void** pointer, size_t size, int32_t policy))                        \
  X(int32_t, aclrtFree, (void* pointer))                                                        \
  X(int32_t, aclrtMallocHost, (void** pointer, size_t size))                                    \
  X(int32_t, aclrtFreeHost, (void* pointer))                                                    \
  X(int32_t, aclrtMemcpyAsync,                                                                  \
    (void* to, size_t to_size, const void* from, size_t count, int32_t kind, AclStream stream)) \
  X(int32_t, aclrtMemsetAsync,                                                                  \
    (void* to, size_t to_size, int32_t value, size_t count, AclStream stream))                  \
  X(int32_t, aclrtCreateStream, (AclStream * stream))                                           \
  X(int32_t, aclrtDestroyStream, (AclStream stream))                                            \
  X(int32_t, aclrtSynchronizeStream, (AclStream stream))                                        \
  X(int32_t, aclrtCreateEventWithFlag, (AclEvent * event, uint32_t flag))                       \
  X(int32_t, aclrtDestroyEvent, (AclEvent event))                                               \
  X(int32_t, aclrtRecordEvent, (AclEvent event, AclStream stream))                              \
  X(int32_t, aclrtStreamWaitEvent, (AclStream stream, AclEvent event))                          \
  X(int32_t, aclrtSynchronizeEvent, (AclEvent event))                                           \
  X(const char*, aclGetRecentErrMsg, ())                                                        \
  X(AclTensor*, aclCreateTensor,                                                                \
    (const int64_t* dims, uint64_t rank, int32_t type, const int64_t* strides, int64_t offset,  \
     int32_t format, const int64_t* storage_dims, uint64_t storage_rank, void* data))           \
  X(int32_t, aclDestroyTensor, (const AclTensor* tensor))                                       \
  X(AclScalar*, aclCreateScalar, (void* value, int32_t type))                                   \
  X(int32_t, aclDestroyScalar, (const AclScalar* scalar))                                       \
  X(AclIntArray*, aclCreateIntArray, (const int64_t* values, uint64_t count))                   \
  X(int32_t, aclDestroyIntArray, (const AclIntArray* array))                                    \
  X(AclTensorList*, aclCreateTensorList, (const AclTensor* const* tensors, uint64_t count))     \
  /* destroys the tensors of the list, too */                                                   \
  X(int32_t, aclDestroyTensorList, (const AclTensorList* list))                                 \
  X(int32_t, aclSetAclOpExecutorRepeatable, (AclOpExecutor * executor))                         \
  X(int32_t, aclDestroyAclOpExecutor, (AclOpExecutor * executor))                               \
  X(int32_t, aclSetInputTensorAddr,                                                             \
    (AclOpExecutor * executor, const size_t index, AclTensor* tensor, void* address))           \
  X(int32_t, aclSetOutputTensorAddr,                                                            \
    (AclOpExecutor * executor, const size_t index, AclTensor* tensor, void* address))

// Operators come in two phases: aclnnNAMEGetWorkspaceSize(parameters, uint64_t* workspace_size,
// aclOpExecutor**) and aclnnNAME(void* workspace, uint64_t size, aclOpExecutor*, aclrtStream).
// X(NAME, repeatable, types of the parameters); T: input, O: output. Executors may be used again
// unless the operator copies views or arrays of the host inside (documents of
// aclSetAclOpExecutorRepeatable) or takes lists.
#define MXVIDEO_CANN_OPERATORS(X)                                                                  \
  /* x, axis, round mode, type, block, scale algorithm; codes, scales */                           \
  X(DynamicMxQuant, true, T, int64_t, char*, int64_t, int64_t, int64_t, T, T)                      \
  /* x1, x2, their scales, y scale, x1, x2, y offsets, bias, transposed x1, x2, group */           \
  X(QuantMatmulV5, true, T, T, T, T, T, T, T, T, T, bool, bool, int64_t, O)                        \
  X(Matmul, true, T, T, O, int8_t)                                                                 \
  /* 1: q, k, v, pse, mask, lengths; 8: dequantization and quantization of scores and output;      \
     13: antiquantization, block table, paddings; 18: scales and offsets of k and v; 22: prefixes; \
     25: rope; 28: scale of q, sink, starts; then numbers; out, log-sum-exp */                     \
  X(FusedInferAttentionScoreV5, false, T, L, L, T, T, I, I, T, T, T, T, T, T, T, T, T, T, T, T, T, \
    T, T, T, I, T, T, T, T, T, I, I, int64_t, double, int64_t, int64_t, char*, int64_t, int64_t,   \
    int64_t, int64_t, int64_t, bool, int64_t, int64_t, int64_t, int64_t, T, T)                     \
  X(LayerNorm, true, T, I, T, T, double, O, O, O)                                                  \
  /* x, scale, shift, weight, bias, epsilon; out, mean, 1/deviation */                             \
  X(AdaLayerNormV2, true, T, T, T, T, T, double, O, O, O)                                          \
  X(RmsNorm, true, T, T, double, T, T)                                                             \
  /* x, cos, sin, mode; out */                                                                     \
  X(RotaryPositionEmbedding, true, T, T, T, int64_t, O)                                            \
  X(GeluV2, true, T, int64_t, O)                                                                   \
  X(Silu, true, T, O)                                                                              \
  X(Add, true, T, T, S, O)                                                                         \
  X(Mul, true, T, T, O)                                                                            \
  X(Muls, true, T, S, O)                                                                           \
  X(Addcmul, true, T, T, T, S, O)                                                                  \
  X(Cast, true, T, int32_t, O)                                                                     \
  X(InplaceCopy, false, O, T)                                                                      \
  X(Clamp, false, T, S, S, O)                                                                      \
  X(IsFinite, false, T, O)                                                                         \
  X(All, false, T, I, bool, O)                                                                     \
  X(LogicalNot, false, T, O)                                                                       \
  X(IndexSelect, false, T, int64_t, T, O)                                                          \
  X(Softmax, false, T, int64_t, O)                                                                 \
  /* x, weight, bias, stride, padding, dilation, transposed, output padding, groups; y */          \
  X(Convolution, false, T, T, T, I, I, I, bool, I, int64_t, O, int8_t)

}  // namespace mxvideo::ascend
