// Whole runs through the Ascend backend, on the stand-in of CANN: every variant, prompts and
// pictures, plain and MXFP8.
#include <algorithm>
#include <cmath>

#include "ascend/backend_fixture.h"
#include "pipeline/golden_run.h"
#include "support/test_support.h"

namespace mxvideo::test {
namespace {

std::vector<float> video_of(const pipeline::GoldenRun& golden, const std::string& scheme,
                            Device& device) {
  const pipeline::Engine engine = golden.engine(scheme, 0, device);
  return host_floats(pipeline::generate_all(engine, golden.request()).video);
}

class AscendPipeline : public testing::TestWithParam<const char*> {};

// BF16 costs about 1 % a step, which the decoder passes on. MXFP8 costs more, on either device, and
// the noise of one is not that of the other, so that each is compared with the plain run: within
// 2 dB, as for two draws of noise over a few frames.
TEST_P(AscendPipeline, MakesTheVideoOfTheHost) {
  const pipeline::GoldenRun golden(std::string(GetParam()) + ".safetensors");
  const std::vector<float> exact = video_of(golden, "none", cpu_device());
  {
    StandInNpu npu;
    EXPECT_LT(relative_rms(video_of(golden, "none", npu.device()), exact), 0.05);
  }
  const double cost = relative_rms(video_of(golden, "mxfp8", cpu_device()), exact);
  StandInNpu npu;
  const double on_npu = relative_rms(video_of(golden, "mxfp8", npu.device()), exact);
  EXPECT_LT(20 * std::log10(on_npu / cost), 2);
  EXPECT_GT(on_npu, 0.02) << "nothing was quantized";
}

INSTANTIATE_TEST_SUITE_P(Goldens, AscendPipeline,
                         testing::Values("i2v-a14b_i2v", "i2v-a14b_i2v_last_image", "t2v-a14b_t2v",
                                         "t2v-a14b_t2v_1frame", "ti2v-5b_i2v", "ti2v-5b_t2v"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace mxvideo::test
