// A test on the stand-in of CANN, by its own declarations: a device, a stream, arrays on the
// device, calls of operators. What is left alive or was misused at the end is a failure, unless
// the test took the report.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/ascend_stand_in/acl_api.h"
#include "support/ascend_stand_in/ascend_stand_in.h"

namespace mxvideo::test {

using namespace ascend_stand_in;  // NOLINT: the API of a C library

using Dims = std::vector<int64_t>;
using Floats = std::vector<float>;
using Bytes = std::vector<uint8_t>;

// Memory of the device and a tensor of all of it.
struct Array {
  Dims dims;
  aclDataType dtype;
  aclFormat format = ACL_FORMAT_ND;
  size_t bytes = 0;
  void* data = nullptr;
  aclTensor* tensor = nullptr;
};

class StandInTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Dense; of values, of bytes as they are, or fresh. Freed at the end of the test.
  Array& array(const Dims& dims, aclDataType dtype, const Floats& values,
               aclFormat format = ACL_FORMAT_ND);
  Array& raw(const Dims& dims, aclDataType dtype, const Bytes& bytes);
  Array& fresh(const Dims& dims, aclDataType dtype, aclFormat format = ACL_FORMAT_ND);
  // A view of another array's memory. Destroyed at the end of the test.
  aclTensor* view(const Array& of, const Dims& dims, const Dims& strides, int64_t offset = 0);
  aclScalar* scalar(float value);
  aclIntArray* integers(const Dims& values);

  Floats values(const Array& from);
  Bytes bytes(const Array& from);

  // Both phases of an operator and the wait for it; a failure when one is refused.
  //   run(aclnnSilu, aclnnSiluGetWorkspaceSize, x.tensor, y.tensor);
  template <class First, class... Arguments>
  void run(aclnnStatus (*second)(void*, uint64_t, aclOpExecutor*, aclrtStream), First first,
           Arguments... arguments) {
    uint64_t size = 0;
    aclOpExecutor* executor = nullptr;
    const int status = first(arguments..., &size, &executor);
    ASSERT_EQ(status, 0) << aclGetRecentErrMsg();
    launch(second, size, executor);
  }
  // The status of a first phase that is expected to refuse; its message is message_.
  template <class First, class... Arguments>
  int refusal(First first, Arguments... arguments) {
    uint64_t size = 0;
    aclOpExecutor* executor = nullptr;
    const int status = first(arguments..., &size, &executor);
    message_ = aclGetRecentErrMsg();
    if (status == 0) aclDestroyAclOpExecutor(executor);
    return status;
  }
  void launch(aclnnStatus (*second)(void*, uint64_t, aclOpExecutor*, aclrtStream), uint64_t size,
              aclOpExecutor* executor);
  // The report so far, which is cleared.
  std::string take_report();

  aclrtStream stream_ = nullptr;
  std::string message_;

 private:
  Array& allocate(const Dims& dims, aclDataType dtype, aclFormat format);

  std::vector<std::unique_ptr<Array>> arrays_;
  std::vector<aclTensor*> views_;
  std::vector<aclScalar*> scalars_;
  std::vector<aclIntArray*> int_arrays_;
};

// Values in a fixed pattern between -1 and 1, multiples of 1/32: exact in BF16 and FP16.
Floats pattern(int64_t count, int step = 7);
int64_t count_of(const Dims& dims);
// To BF16 and back.
float bf16(double value);

}  // namespace mxvideo::test
