// The Ascend backend on the stand-in of CANN.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "device/ascend/ascend_device.h"
#include "kernels/common/context.h"
#include "support/ascend_stand_in/ascend_stand_in.h"
#include "tensor/tensor.h"

namespace mxvideo::test {

// An NPU that the stand-in plays. At the end of its life nothing may be alive there, and nothing
// may have been misused.
class StandInNpu {
 public:
  StandInNpu();
  ~StandInNpu();
  ascend::AscendDevice& device() { return *device_; }
  // Ends the device before the object: what is alive and what was misused is said now.
  void close();

 private:
  // With MXVIDEO_TEST_NPU in the environment: the NPU of this machine, through its own CANN, which
  // tells less (tools/ascend_check.sh).
  bool real_ = std::getenv("MXVIDEO_TEST_NPU") != nullptr;
  std::unique_ptr<ascend::AscendDevice> device_;
};

// Elements as fp32, on the host; of F32 and BF16.
std::vector<float> host_floats(const Tensor& tensor);

// Of one rounding to BF16: at most half of the distance of two numbers, 2^-8 of their binade.
inline constexpr double kBf16 = 0x1p-9;

}  // namespace mxvideo::test
