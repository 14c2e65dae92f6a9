// Whole runs on the isolated device: latents of every step and frames have the bits of the host.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "isolated/isolated_device.h"
#include "pipeline/wan_pipeline.h"
#include "support/golden_file.h"
#include "support/test_support.h"
#include "support/video_collector.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;

media::RgbImage golden_image(const GoldenFile& golden, const std::string& name) {
  const std::vector<int64_t> shape = golden.shape(name);
  return {.size = {.height = shape[0], .width = shape[1]}, .pixels = golden.u8(name)};
}

// Everything that a run makes.
std::vector<float> run(const GoldenFile& golden, const std::string& scheme, Device& device) {
  const auto info = nlohmann::json::parse(golden.metadata().at("info"));
  pipeline::GenerateRequest request;
  request.prompt = info["prompt"];
  request.negative_prompt = info["negative_prompt"].get<std::string>();
  request.width = info["width"];
  request.height = info["height"];
  request.num_frames = info["num_frames"];
  request.num_inference_steps = info["num_inference_steps"];
  request.guidance_scale = info["guidance_scale"];
  if (!info["guidance_scale_2"].is_null()) request.guidance_scale_2 = info["guidance_scale_2"];
  request.seed = info["seed"];
  if (golden.has("image")) request.image = golden_image(golden, "image");
  if (golden.has("last_image")) request.last_image = golden_image(golden, "last_image");

  pipeline::PipelineOptions options;
  options.model_directory = golden_path("models/" + info["variant"].get<std::string>());
  options.quantization = {.scheme = scheme, .ignored_layers = {}, .mx = {}};
  options.device = &device;
  std::vector<float> all;
  pipeline::RunHooks hooks;
  hooks.on_step = [&](int64_t, const Tensor& latents) {
    all.insert(all.end(), latents.values().begin(), latents.values().end());
  };
  VideoCollector frames;
  hooks.on_frames = std::ref(frames);
  pipeline::WanPipeline(options).generate(request, hooks);
  const Tensor video = frames.take();
  all.insert(all.end(), video.values().begin(), video.values().end());
  return all;
}

class IsolatedPipeline : public testing::TestWithParam<const char*> {};

TEST_P(IsolatedPipeline, HasTheBitsOfTheHost) {
  const GoldenFile golden(std::string("pipeline/") + GetParam() + ".safetensors");
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
