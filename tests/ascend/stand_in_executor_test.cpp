// The two phases of an operator: executors, workspaces, lifetimes of tensors.
#include "ascend/stand_in_fixture.h"

namespace mxvideo::test {
namespace {

class StandInExecutorTest : public StandInTest {
 protected:
  // The first phase of y = silu(x).
  aclOpExecutor* silu(const aclTensor* x, aclTensor* y) {
    uint64_t size = 0;
    aclOpExecutor* executor = nullptr;
    EXPECT_EQ(aclnnSiluGetWorkspaceSize(x, y, &size, &executor), 0) << aclGetRecentErrMsg();
    EXPECT_EQ(size, 0u);
    return executor;
  }
  bool reported(const std::string& text) { return take_report().find(text) != std::string::npos; }
};

TEST_F(StandInExecutorTest, AnExecutorIsUsedUpByItsSecondPhase) {
  const Array& x = array({4}, ACL_FLOAT, {0, 1, 2, 3});
  const Array& y = fresh({4}, ACL_FLOAT);
  aclOpExecutor* executor = silu(x.tensor, y.tensor);
  EXPECT_EQ(aclnnSilu(nullptr, 0, executor, stream_), 0);
  EXPECT_EQ(aclnnSilu(nullptr, 0, executor, stream_), ACLNN_ERR_INNER_NULLPTR);
  EXPECT_TRUE(reported("aclnnSilu: the executor is used up or destroyed"));
}

TEST_F(StandInExecutorTest, ARepeatableOneIsUsedAgainWithOtherAddresses) {
  const Array& x = array({4}, ACL_FLOAT, {0, 1, 2, 3});
  const Array& other = array({4}, ACL_FLOAT, {9, 9, 9, 9});
  const Array& y = fresh({4}, ACL_FLOAT);
  const Array& z = fresh({4}, ACL_FLOAT);
  aclTensor* in = view(x, {4}, {1});
  aclTensor* out = view(y, {4}, {1});
  aclOpExecutor* executor = silu(in, out);
  ASSERT_EQ(aclSetAclOpExecutorRepeatable(executor), 0);
  EXPECT_EQ(aclnnSilu(nullptr, 0, executor, stream_), 0);
  EXPECT_EQ(aclSetInputTensorAddr(executor, 0, in, other.data), 0);
  EXPECT_EQ(aclSetOutputTensorAddr(executor, 0, out, z.data), 0);
  EXPECT_EQ(aclnnSilu(nullptr, 0, executor, stream_), 0);
  EXPECT_EQ(aclDestroyAclOpExecutor(executor), 0);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 0);
  EXPECT_FLOAT_EQ(values(y)[3], 2.8577223f);  // 3 / (1 + e^-3)
  EXPECT_FLOAT_EQ(values(z)[0], 8.9988895f);  // 9 / (1 + e^-9)
}

TEST_F(StandInExecutorTest, AddressesAreExchangedOnlyWhereTheyBelong) {
  const Array& x = array({4}, ACL_FLOAT, {0, 1, 2, 3});
  const Array& y = fresh({4}, ACL_FLOAT);
  aclOpExecutor* executor = silu(x.tensor, y.tensor);
  EXPECT_EQ(aclSetInputTensorAddr(executor, 1, x.tensor, x.data), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(aclSetInputTensorAddr(executor, 0, y.tensor, x.data), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(reported("the tensor is not operand 0 of aclnnSilu"));
  EXPECT_EQ(aclSetInputTensorAddr(executor, 0, x.tensor, x.data), 0);
  EXPECT_TRUE(reported("the executor of aclnnSilu is not repeatable"));
  EXPECT_EQ(aclSetInputTensorAddr(nullptr, 0, x.tensor, x.data), ACLNN_ERR_INNER_NULLPTR);
  EXPECT_EQ(aclDestroyAclOpExecutor(executor), 0);
}

TEST_F(StandInExecutorTest, ATensorLivesUntilTheSecondPhase) {
  const Array& x = array({4}, ACL_FLOAT, {0, 1, 2, 3});
  const Array& y = fresh({4}, ACL_FLOAT);
  const int64_t dims = 4;
  aclTensor* in = aclCreateTensor(&dims, 1, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, &dims, 1, x.data);
  aclOpExecutor* executor = silu(in, y.tensor);
  EXPECT_EQ(aclDestroyTensor(in), 0);
  EXPECT_EQ(aclnnSilu(nullptr, 0, executor, stream_), ACLNN_ERR_INNER_NULLPTR);
  EXPECT_TRUE(reported("the aclTensor was destroyed before the second phase"));
  EXPECT_EQ(aclDestroyTensor(in), ACLNN_ERR_INNER_NULLPTR);
  EXPECT_TRUE(reported("tensor is no handle, or was destroyed before"));
}

TEST_F(StandInExecutorTest, TheMemoryOfATensorLivesUntilTheWorkWasWaitedFor) {
  const Array& x = array({4}, ACL_FLOAT, {0, 1, 2, 3});
  void* memory = nullptr;
  ASSERT_EQ(aclrtMalloc(&memory, 16, ACL_MEM_MALLOC_HUGE_FIRST), 0);
  const int64_t dims = 4;
  aclTensor* out =
      aclCreateTensor(&dims, 1, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, &dims, 1, memory);
  aclOpExecutor* executor = silu(x.tensor, out);
  EXPECT_EQ(aclnnSilu(nullptr, 0, executor, stream_), 0);
  EXPECT_EQ(aclDestroyTensor(out), 0);  // the description may go
  EXPECT_STREQ(standin_report(), "");
  EXPECT_EQ(aclrtFree(memory), 0);
  EXPECT_TRUE(reported("aclrtFree changes what aclnnSilu writes, and nothing waited for that"));
}

TEST_F(StandInExecutorTest, AnOperandLiesInsideOneAllocation) {
  const Array& x = array({4}, ACL_FLOAT, {0, 1, 2, 3});
  const Array& y = fresh({4}, ACL_FLOAT);
  const int64_t dims = 5;
  aclTensor* wide =
      aclCreateTensor(&dims, 1, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, &dims, 1, x.data);
  aclTensor* out =
      aclCreateTensor(&dims, 1, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, &dims, 1, y.data);
  EXPECT_EQ(aclnnSilu(nullptr, 0, silu(wide, out), stream_), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(reported("its storage [5] of FLOAT reaches beyond the allocation"));
  EXPECT_EQ(aclDestroyTensor(wide), 0);
  EXPECT_EQ(aclDestroyTensor(out), 0);
  // And a view inside its storage.
  const int64_t offset = 1;
  EXPECT_EQ(aclCreateTensor(&dims, 1, ACL_FLOAT, nullptr, offset, ACL_FORMAT_ND, &dims, 1, x.data),
            nullptr);
  EXPECT_NE(std::string(aclGetRecentErrMsg()).find("reaches beyond the storage [5]"),
            std::string::npos);
}

TEST_F(StandInExecutorTest, HostMemoryIsNoOperand) {
  float host[4] = {};
  const Array& y = fresh({4}, ACL_FLOAT);
  const int64_t dims = 4;
  void* address = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(host) / 32 * 32);
  aclTensor* in =
      aclCreateTensor(&dims, 1, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, &dims, 1, address);
  EXPECT_EQ(aclnnSilu(nullptr, 0, silu(in, y.tensor), stream_), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(reported("the address is not in device memory that is allocated"));
  EXPECT_EQ(aclDestroyTensor(in), 0);
}

TEST_F(StandInExecutorTest, AWorkspaceIsAsLargeAsAskedFor) {
  const Array& x = array({1, 32}, ACL_FLOAT, pattern(32));
  const Array& y = fresh({1, 32}, ACL_FLOAT8_E4M3FN);
  const Array& scales = fresh({1, 1, 2}, ACL_FLOAT8_E8M0);
  const auto prepare = [&](uint64_t& size) {
    aclOpExecutor* executor = nullptr;
    EXPECT_EQ(aclnnDynamicMxQuantGetWorkspaceSize(x.tensor, -1, nullptr, 36, 32, 1, y.tensor,
                                                  scales.tensor, &size, &executor),
              0)
        << aclGetRecentErrMsg();
    return executor;
  };
  uint64_t size = 0;
  aclOpExecutor* executor = prepare(size);
  ASSERT_GT(size, 0u);
  void* workspace = nullptr;
  ASSERT_EQ(aclrtMalloc(&workspace, size - 1, ACL_MEM_MALLOC_HUGE_FIRST), 0);
  EXPECT_EQ(aclnnDynamicMxQuant(workspace, size - 1, executor, stream_), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(reported("bytes is smaller than the"));
  EXPECT_EQ(aclnnDynamicMxQuant(workspace, size, prepare(size), stream_), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(reported("is not device memory of the"));
  EXPECT_EQ(aclnnDynamicMxQuant(nullptr, size, prepare(size), stream_), ACLNN_ERR_PARAM_NULLPTR);
  EXPECT_EQ(aclrtFree(workspace), 0);
}

TEST_F(StandInExecutorTest, AnExecutorBelongsToItsOperator) {
  const Array& x = array({4}, ACL_FLOAT, {0, 1, 2, 3});
  const Array& y = fresh({4}, ACL_FLOAT);
  EXPECT_EQ(aclnnGeluV2(nullptr, 0, silu(x.tensor, y.tensor), stream_), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(reported("aclnnGeluV2 was given an executor of aclnnSilu"));
}

TEST_F(StandInExecutorTest, AListTakesItsTensorsWithIt) {
  const Array& x = array({4}, ACL_FLOAT, {0, 1, 2, 3});
  const int64_t dims = 4;
  aclTensor* in = aclCreateTensor(&dims, 1, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, &dims, 1, x.data);
  aclTensorList* list = aclCreateTensorList(&in, 1);
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(aclDestroyTensorList(list), 0);
  EXPECT_EQ(aclDestroyTensor(in), ACLNN_ERR_INNER_NULLPTR);
  EXPECT_TRUE(reported("tensor is no handle"));
}

TEST_F(StandInExecutorTest, EachCallOfAnOperatorFailsInTurnAndNothingStaysAlive) {
  const Array& x = array({1, 32}, ACL_FLOAT, pattern(32));
  // Tensors, first phase, workspace, second phase, wait, and what frees them: 13 calls.
  for (uint64_t n = 1; n <= 13; ++n) {
    void* out = nullptr;
    ASSERT_EQ(aclrtMalloc(&out, 64, ACL_MEM_MALLOC_HUGE_FIRST), 0);
    standin_fail_call(n);
    int failures = 0;
    const Dims dims = {1, 32};
    const Dims pairs = {1, 1, 2};
    aclTensor* in = aclCreateTensor(dims.data(), 2, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND,
                                    dims.data(), 2, x.data);
    aclTensor* codes = aclCreateTensor(dims.data(), 2, ACL_FLOAT8_E4M3FN, nullptr, 0, ACL_FORMAT_ND,
                                       dims.data(), 2, out);
    aclTensor* scales = aclCreateTensor(pairs.data(), 3, ACL_FLOAT8_E8M0, nullptr, 0, ACL_FORMAT_ND,
                                        pairs.data(), 3, static_cast<uint8_t*>(out) + 32);
    failures += (in == nullptr) + (codes == nullptr) + (scales == nullptr);
    uint64_t size = 0;
    aclOpExecutor* executor = nullptr;
    if (failures == 0) {
      failures += aclnnDynamicMxQuantGetWorkspaceSize(in, -1, nullptr, 36, 32, 1, codes, scales,
                                                      &size, &executor) != 0;
    }
    void* workspace = nullptr;
    if (failures == 0) {
      failures += aclrtMalloc(&workspace, size, ACL_MEM_MALLOC_HUGE_FIRST) != 0;
      if (workspace == nullptr) {
        EXPECT_EQ(aclDestroyAclOpExecutor(executor), 0);
      }
    }
    if (failures == 0) failures += aclnnDynamicMxQuant(workspace, size, executor, stream_) != 0;
    if (workspace != nullptr) failures += aclrtSynchronizeStream(stream_) != 0;
    if (workspace != nullptr) failures += aclrtFree(workspace) != 0;
    for (aclTensor* tensor : {in, codes, scales}) {
      if (tensor != nullptr) failures += aclDestroyTensor(tensor) != 0;
    }
    failures += aclrtFree(out) != 0;
    EXPECT_EQ(failures, n <= 12 ? 1 : 0) << "call " << n;
    standin_fail_call(0);
  }
}

}  // namespace
}  // namespace mxvideo::test
