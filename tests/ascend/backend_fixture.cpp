#include "ascend/backend_fixture.h"

namespace mxvideo::test {

StandInNpu::StandInNpu() {
  ascend::AscendOptions options;
  if (!real_) {
    standin_reset();
    options.libraries = MXVIDEO_ASCEND_STAND_IN_DIR;
  }
  device_ = std::make_unique<ascend::AscendDevice>(options);
}

StandInNpu::~StandInNpu() {
  if (device_ != nullptr) close();
}

void StandInNpu::close() {
  device_.reset();
  if (real_) return;
  EXPECT_STREQ(standin_report(), "");
  StandinCounters alive{};
  standin_counters(&alive);
  EXPECT_EQ(alive.tensors, 0u);
  EXPECT_EQ(alive.scalars, 0u);
  EXPECT_EQ(alive.int_arrays, 0u);
  EXPECT_EQ(alive.tensor_lists, 0u);
  EXPECT_EQ(alive.executors, 0u);
  EXPECT_EQ(alive.streams, 0u);
  EXPECT_EQ(alive.events, 0u);
  EXPECT_EQ(alive.device_bytes, 0u);
  EXPECT_EQ(alive.host_bytes, 0u);
}

std::vector<float> host_floats(const Tensor& tensor) {
  const OnHost host(tensor);
  const Tensor floats = to_f32((*host).view());
  return {floats.values().begin(), floats.values().end()};
}

}  // namespace mxvideo::test
