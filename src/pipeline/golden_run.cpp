#include "pipeline/golden_run.h"

#include <functional>
#include <utility>

#include "support/test_support.h"
#include "support/video_collector.h"

namespace mxvideo::pipeline {
namespace {

media::RgbImage golden_image(const test::GoldenFile& golden, const std::string& name) {
  const std::vector<int64_t> shape = golden.shape(name);
  return {.size = {.height = shape[0], .width = shape[1]}, .pixels = golden.u8(name)};
}

}  // namespace

std::filesystem::path model_directory(const std::string& name) {
  const std::filesystem::path random = test::golden_path("models/" + name);
  if (std::filesystem::exists(random)) return random;
  return test::golden_path("../../models/" + name);
}

GenerateRequest GoldenRun::request() const {
  GenerateRequest result;
  result.prompt = info["prompt"];
  result.negative_prompt = info["negative_prompt"].get<std::string>();
  result.width = info["width"];
  result.height = info["height"];
  result.num_frames = info["num_frames"];
  result.num_inference_steps = info["num_inference_steps"];
  result.guidance_scale = info["guidance_scale"];
  if (!info["guidance_scale_2"].is_null()) result.guidance_scale_2 = info["guidance_scale_2"];
  result.seed = info["seed"];
  if (golden.has("image")) result.image = golden_image(golden, "image");
  if (golden.has("last_image")) result.last_image = golden_image(golden, "last_image");
  return result;
}

Generated generate_all(const Engine& engine, const GenerateRequest& request, RunHooks hooks) {
  test::VideoCollector frames;
  hooks.on_frames = std::ref(frames);
  Run run(engine, request, std::move(hooks));
  generate(run);
  return {.latents = std::move(run.latents),
          .video = frames.take(),
          .report = std::move(run.report),
          .request = std::move(run.request)};
}

}  // namespace mxvideo::pipeline
