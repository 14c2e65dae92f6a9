// Whole runs on the isolated device: latents of every step and frames have the bits of the host.
#include <gtest/gtest.h>

#include <algorithm>

#include "isolated/isolated_device.h"
#include "pipeline/golden_run.h"

namespace mxvideo::test {
namespace {

// Latents of each step, then the frames.
std::vector<float> run(const pipeline::GoldenRun& golden, const std::string& scheme,
                       Device& device) {
  std::vector<float> all;
  const auto append = [&](const Tensor& tensor) {
    all.insert(all.end(), tensor.values().begin(), tensor.values().end());
  };
  pipeline::RunHooks hooks;
  hooks.on_step = [&](int64_t, const Tensor& latents) { append(*OnHost(latents)); };
  const pipeline::Engine engine = golden.engine(scheme, 0, device);
  append(pipeline::generate_all(engine, golden.request(), hooks).video);
  return all;
}

// A hook after each step that looks at no latents.
TEST(IsolatedRun, LatentsAreCopiedToTheHostForWhoReadsThem) {
  const pipeline::GoldenRun golden("ti2v-5b_t2v.safetensors");
  const auto downloads = [&](const pipeline::RunHooks& hooks) {
    IsolatedDevice device;
    const pipeline::Engine engine = golden.engine("none", 0, device);
    pipeline::generate_all(engine, golden.request(), hooks);
    return device.downloads();
  };
  const int64_t without = downloads({});
  EXPECT_EQ(downloads({.on_step = [](int64_t, const Tensor&) {}}), without);
  EXPECT_EQ(downloads({.on_step = [](int64_t, const Tensor& latents) { OnHost host(latents); }}),
            without + golden.info["num_inference_steps"].get<int64_t>());
}

class IsolatedPipeline : public testing::TestWithParam<const char*> {};

TEST_P(IsolatedPipeline, HasTheBitsOfTheHost) {
  const pipeline::GoldenRun golden(std::string(GetParam()) + ".safetensors");
  for (const char* scheme : {"none", "mxfp8"}) {
    IsolatedDevice device;
    EXPECT_EQ(run(golden, scheme, device), run(golden, scheme, cpu_device())) << scheme;
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, IsolatedPipeline,
                         testing::Values("i2v-a14b_i2v", "i2v-a14b_i2v_last_image", "t2v-a14b_t2v",
                                         "t2v-a14b_t2v_1frame", "ti2v-5b_i2v", "ti2v-5b_t2v"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace mxvideo::test
