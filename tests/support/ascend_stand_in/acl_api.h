// The functions of CANN that the stand-in exports, declared as CANN 9 publishes them. Transcribed
// for the stand-in alone: it shares no declaration with src/device/ascend, and a test compares the
// two sets by name and type.
//
// Sources, all public: hicann/runtime 681ef76 include/external/acl/{acl_base_rt,acl_rt}.h and
// error_codes/rt_error_codes.h; hicann/opbase aa3cd74 include/nnopbase/aclnn/acl_meta.h and its
// documents of return codes; the operators' documents of hicann/ops-nn e5c3fa9, hicann/ops-math
// c419332, hicann/ops-cv 6ae8765 and mirror-cann/ops-transformer 3a280bc. Facts (names, numbers,
// types), no text of theirs.
#pragma once

#include <cstddef>
#include <cstdint>

#define STAND_IN_API extern "C" __attribute__((visibility("default")))

namespace ascend_stand_in {

using aclError = int;
using aclnnStatus = int32_t;
using aclrtStream = void*;
using aclrtEvent = void*;

// What a handle points to exists only behind the interface.
struct aclTensor;
struct aclScalar;
struct aclIntArray;
struct aclTensorList;
struct aclOpExecutor;

enum aclDataType {
  ACL_DT_UNDEFINED = -1,
  ACL_FLOAT = 0,
  ACL_FLOAT16 = 1,
  ACL_INT8 = 2,
  ACL_INT32 = 3,
  ACL_UINT8 = 4,
  ACL_INT64 = 9,
  ACL_DOUBLE = 11,
  ACL_BOOL = 12,
  ACL_BF16 = 27,
  ACL_FLOAT8_E5M2 = 35,
  ACL_FLOAT8_E4M3FN = 36,
  ACL_FLOAT8_E8M0 = 37,
  ACL_FLOAT4_E2M1 = 40,
};

enum aclFormat {
  ACL_FORMAT_UNDEFINED = -1,
  ACL_FORMAT_NCHW = 0,
  ACL_FORMAT_NHWC = 1,
  ACL_FORMAT_ND = 2,
  ACL_FORMAT_NDHWC = 27,
  ACL_FORMAT_FRACTAL_NZ = 29,
  ACL_FORMAT_NCDHW = 30,
  ACL_FORMAT_NCL = 47,
};

enum aclrtMemcpyKind {
  ACL_MEMCPY_HOST_TO_HOST = 0,
  ACL_MEMCPY_HOST_TO_DEVICE = 1,
  ACL_MEMCPY_DEVICE_TO_HOST = 2,
  ACL_MEMCPY_DEVICE_TO_DEVICE = 3,
  ACL_MEMCPY_DEFAULT = 4,
};

enum aclrtMemMallocPolicy {
  ACL_MEM_MALLOC_HUGE_FIRST = 0,
  ACL_MEM_MALLOC_HUGE_ONLY = 1,
  ACL_MEM_MALLOC_NORMAL_ONLY = 2,
};

enum aclrtMemAttr {
  ACL_DDR_MEM = 0,
  ACL_HBM_MEM = 1,
};

// Flags of events: without the first, no stream may wait for the event.
inline constexpr uint32_t ACL_EVENT_SYNC = 0x1;
inline constexpr uint32_t ACL_EVENT_CAPTURE_STREAM_PROGRESS = 0x2;
inline constexpr uint32_t ACL_EVENT_TIME_LINE = 0x8;

// Statuses. Of the runtime:
inline constexpr int ACL_ERROR_REPEAT_INITIALIZE = 100002;
inline constexpr int ACL_ERROR_UNINITIALIZE = 100001;
inline constexpr int ACL_ERROR_RT_PARAM_INVALID = 107000;
inline constexpr int ACL_ERROR_RT_INVALID_DEVICEID = 107001;
inline constexpr int ACL_ERROR_RT_CONTEXT_NULL = 107002;
inline constexpr int ACL_ERROR_RT_ADDR_UNALIGNED = 107008;
inline constexpr int ACL_ERROR_RT_INVALID_HANDLE = 107017;
inline constexpr int ACL_ERROR_RT_FEATURE_NOT_SUPPORT = 207000;
inline constexpr int ACL_ERROR_RT_MEMORY_ALLOCATION = 207001;
inline constexpr int ACL_ERROR_RT_INTERNAL_ERROR = 507000;
inline constexpr int ACL_ERROR_RT_AICORE_EXCEPTION = 507015;
// Of the operators:
inline constexpr int ACLNN_ERR_PARAM_NULLPTR = 161001;
inline constexpr int ACLNN_ERR_PARAM_INVALID = 161002;
inline constexpr int ACLNN_ERR_RUNTIME_ERROR = 361001;
inline constexpr int ACLNN_ERR_INNER = 561000;
inline constexpr int ACLNN_ERR_INNER_TILING_ERROR = 561002;
inline constexpr int ACLNN_ERR_INNER_NULLPTR = 561103;

// libascendcl
STAND_IN_API aclError aclInit(const char* config_path);
STAND_IN_API aclError aclFinalize();
// Of the calling thread's last failure; cleared by the call. Empty where nothing failed.
STAND_IN_API const char* aclGetRecentErrMsg();
STAND_IN_API const char* aclrtGetSocName();
STAND_IN_API aclError aclrtGetDeviceCount(uint32_t* count);
STAND_IN_API aclError aclrtSetDevice(int32_t device);
STAND_IN_API aclError aclrtResetDevice(int32_t device);
STAND_IN_API aclError aclrtGetMemInfo(aclrtMemAttr attr, size_t* free, size_t* total);
STAND_IN_API aclError aclrtMalloc(void** address, size_t size, aclrtMemMallocPolicy policy);
STAND_IN_API aclError aclrtFree(void* address);
STAND_IN_API aclError aclrtMallocHost(void** address, size_t size);
STAND_IN_API aclError aclrtFreeHost(void* address);
STAND_IN_API aclError aclrtMemcpy(void* to, size_t to_size, const void* from, size_t count,
                                  aclrtMemcpyKind kind);
STAND_IN_API aclError aclrtMemcpyAsync(void* to, size_t to_size, const void* from, size_t count,
                                       aclrtMemcpyKind kind, aclrtStream stream);
STAND_IN_API aclError aclrtMemsetAsync(void* to, size_t to_size, int32_t value, size_t count,
                                       aclrtStream stream);
STAND_IN_API aclError aclrtCreateStream(aclrtStream* stream);
STAND_IN_API aclError aclrtDestroyStream(aclrtStream stream);
STAND_IN_API aclError aclrtSynchronizeStream(aclrtStream stream);
STAND_IN_API aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag);
STAND_IN_API aclError aclrtDestroyEvent(aclrtEvent event);
STAND_IN_API aclError aclrtRecordEvent(aclrtEvent event, aclrtStream stream);
STAND_IN_API aclError aclrtStreamWaitEvent(aclrtStream stream, aclrtEvent event);
STAND_IN_API aclError aclrtSynchronizeEvent(aclrtEvent event);

// libnnopbase
STAND_IN_API aclTensor* aclCreateTensor(const int64_t* view_dims, uint64_t view_dims_num,
                                        aclDataType data_type, const int64_t* stride,
                                        int64_t offset, aclFormat format,
                                        const int64_t* storage_dims, uint64_t storage_dims_num,
                                        void* address);
STAND_IN_API aclScalar* aclCreateScalar(void* value, aclDataType data_type);
STAND_IN_API aclIntArray* aclCreateIntArray(const int64_t* values, uint64_t size);
STAND_IN_API aclTensorList* aclCreateTensorList(const aclTensor* const* tensors, uint64_t size);
STAND_IN_API aclnnStatus aclDestroyTensor(const aclTensor* tensor);
STAND_IN_API aclnnStatus aclDestroyScalar(const aclScalar* scalar);
STAND_IN_API aclnnStatus aclDestroyIntArray(const aclIntArray* array);
STAND_IN_API aclnnStatus aclDestroyTensorList(const aclTensorList* list);
STAND_IN_API aclnnStatus aclSetAclOpExecutorRepeatable(aclOpExecutor* executor);
STAND_IN_API aclnnStatus aclDestroyAclOpExecutor(aclOpExecutor* executor);
STAND_IN_API aclnnStatus aclSetInputTensorAddr(aclOpExecutor* executor, const size_t index,
                                               aclTensor* tensor, void* address);
STAND_IN_API aclnnStatus aclSetOutputTensorAddr(aclOpExecutor* executor, const size_t index,
                                                aclTensor* tensor, void* address);
// `ir_index`: the list's position among the operator's parameters that are tensors or lists.
STAND_IN_API aclnnStatus aclSetDynamicInputTensorAddr(aclOpExecutor* executor, size_t ir_index,
                                                      const size_t relative_index,
                                                      aclTensorList* tensors, void* address);

// libopapi: a first phase each, whose arguments but the last two follow, and a second phase.
#define STAND_IN_OPERATOR(NAME, ...)                                                               \
  STAND_IN_API aclnnStatus NAME##GetWorkspaceSize(__VA_ARGS__, uint64_t* workspace_size,           \
                                                  aclOpExecutor** executor);                       \
  STAND_IN_API aclnnStatus NAME(void* workspace, uint64_t workspace_size, aclOpExecutor* executor, \
                                aclrtStream stream)

STAND_IN_OPERATOR(aclnnDynamicMxQuant, const aclTensor* x, int64_t axis, char* round_mode,
                  int64_t dst_type, int64_t block_size, int64_t scale_alg, const aclTensor* y,
                  const aclTensor* mxscale);
STAND_IN_OPERATOR(aclnnQuantMatmulV5, const aclTensor* x1, const aclTensor* x2,
                  const aclTensor* x1_scale, const aclTensor* x2_scale, const aclTensor* y_scale,
                  const aclTensor* x1_offset, const aclTensor* x2_offset, const aclTensor* y_offset,
                  const aclTensor* bias, bool transpose_x1, bool transpose_x2, int64_t group_size,
                  aclTensor* out);
STAND_IN_OPERATOR(aclnnMm, const aclTensor* self, const aclTensor* mat2, aclTensor* out,
                  int8_t cube_math_type);
STAND_IN_OPERATOR(aclnnMatmul, const aclTensor* self, const aclTensor* mat2, aclTensor* out,
                  int8_t cube_math_type);
STAND_IN_OPERATOR(aclnnFusedInferAttentionScoreV5, const aclTensor* query, const aclTensorList* key,
                  const aclTensorList* value, const aclTensor* pse_shift,
                  const aclTensor* atten_mask, const aclIntArray* actual_seq_lengths,
                  const aclIntArray* actual_seq_lengths_kv, const aclTensor* deq_scale1,
                  const aclTensor* quant_scale1, const aclTensor* deq_scale2,
                  const aclTensor* quant_scale2, const aclTensor* quant_offset2,
                  const aclTensor* antiquant_scale, const aclTensor* antiquant_offset,
                  const aclTensor* block_table, const aclTensor* query_padding_size,
                  const aclTensor* kv_padding_size, const aclTensor* key_antiquant_scale,
                  const aclTensor* key_antiquant_offset, const aclTensor* value_antiquant_scale,
                  const aclTensor* value_antiquant_offset, const aclTensor* key_shared_prefix,
                  const aclTensor* value_shared_prefix, const aclIntArray* actual_shared_prefix_len,
                  const aclTensor* query_rope, const aclTensor* key_rope,
                  const aclTensor* key_rope_antiquant_scale, const aclTensor* dequant_scale_query,
                  const aclTensor* learnable_sink, const aclIntArray* q_start_idx,
                  const aclIntArray* kv_start_idx, int64_t num_heads, double scale_value,
                  int64_t pre_tokens, int64_t next_tokens, char* input_layout,
                  int64_t num_key_value_heads, int64_t sparse_mode, int64_t inner_precise,
                  int64_t block_size, int64_t antiquant_mode, bool softmax_lse_flag,
                  int64_t key_antiquant_mode, int64_t value_antiquant_mode,
                  int64_t query_quant_mode, int64_t pse_type, const aclTensor* attention_out,
                  const aclTensor* softmax_lse);
STAND_IN_OPERATOR(aclnnLayerNorm, const aclTensor* input, const aclIntArray* normalized_shape,
                  const aclTensor* weight, const aclTensor* bias, double eps, aclTensor* out,
                  aclTensor* mean_out, aclTensor* rstd_out);
STAND_IN_OPERATOR(aclnnAdaLayerNormV2, const aclTensor* x, const aclTensor* scale,
                  const aclTensor* shift, const aclTensor* weight, const aclTensor* bias,
                  double epsilon, aclTensor* out, aclTensor* mean_out, aclTensor* rstd_out);
STAND_IN_OPERATOR(aclnnRmsNorm, const aclTensor* x, const aclTensor* gamma, double epsilon,
                  const aclTensor* y, const aclTensor* rstd);
STAND_IN_OPERATOR(aclnnRotaryPositionEmbedding, const aclTensor* x, const aclTensor* cos,
                  const aclTensor* sin, int64_t mode, aclTensor* out);
STAND_IN_OPERATOR(aclnnGeluV2, const aclTensor* x, int64_t approximate, aclTensor* y);
STAND_IN_OPERATOR(aclnnSilu, const aclTensor* self, aclTensor* out);
STAND_IN_OPERATOR(aclnnAdd, const aclTensor* self, const aclTensor* other, const aclScalar* alpha,
                  aclTensor* out);
STAND_IN_OPERATOR(aclnnMul, const aclTensor* self, const aclTensor* other, aclTensor* out);
STAND_IN_OPERATOR(aclnnMuls, const aclTensor* self, const aclScalar* other, aclTensor* out);
STAND_IN_OPERATOR(aclnnAddcmul, const aclTensor* self, const aclTensor* tensor1,
                  const aclTensor* tensor2, const aclScalar* value, aclTensor* out);
STAND_IN_OPERATOR(aclnnClamp, const aclTensor* self, const aclScalar* clip_value_min,
                  const aclScalar* clip_value_max, aclTensor* out);
STAND_IN_OPERATOR(aclnnIsFinite, const aclTensor* self, aclTensor* out);
STAND_IN_OPERATOR(aclnnLogicalNot, const aclTensor* self, aclTensor* out);
STAND_IN_OPERATOR(aclnnAll, const aclTensor* self, const aclIntArray* dim, bool keepdim,
                  aclTensor* out);
STAND_IN_OPERATOR(aclnnCast, const aclTensor* self, const aclDataType dtype, aclTensor* out);
STAND_IN_OPERATOR(aclnnInplaceCopy, aclTensor* self_ref, const aclTensor* src);
STAND_IN_OPERATOR(aclnnIndexSelect, const aclTensor* self, int64_t dim, const aclTensor* index,
                  aclTensor* out);
STAND_IN_OPERATOR(aclnnConvolution, const aclTensor* input, const aclTensor* weight,
                  const aclTensor* bias, const aclIntArray* stride, const aclIntArray* padding,
                  const aclIntArray* dilation, bool transposed, const aclIntArray* output_padding,
                  const int64_t groups, aclTensor* output, int8_t cube_math_type);
STAND_IN_OPERATOR(aclnnUpsampleNearestExact2d, const aclTensor* self,
                  const aclIntArray* output_size, double scales_h, double scales_w, aclTensor* out);
STAND_IN_OPERATOR(aclnnSoftmax, const aclTensor* self, int64_t dim, aclTensor* out);

}  // namespace ascend_stand_in
