// Whole runs through the Ascend backend, on the stand-in of CANN: every variant, prompts and
// pictures, plain and MXFP8.
#include <algorithm>

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

// The errors of the steps add up like noise of about 1 % each, which the decoder passes on; MXFP8
// adds its own, 3 % a step, on either device.
TEST_P(AscendPipeline, MakesTheVideoOfTheHost) {
  const pipeline::GoldenRun golden(std::string(GetParam()) + ".safetensors");
  for (const auto& [scheme, limit] : {std::pair{"none", 0.05}, std::pair{"mxfp8", 0.15}}) {
    const std::vector<float> expected = video_of(golden, scheme, cpu_device());
    StandInNpu npu;
    EXPECT_LT(relative_rms(video_of(golden, scheme, npu.device()), expected), limit) << scheme;
  }
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
