#include "checkpoint/wan/generation_defaults.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text/json.h"
#include "base/text/quote.h"

namespace mxvideo::checkpoint {
namespace {

using checkpoint::WanVariant;

constexpr const char* kFileName = "generation_config.json";
constexpr int64_t kMaxInteger = 1 << 20;
constexpr double kMaxGuidance = 1000;

// sample_neg_prompt of wan/configs/shared_config.py.
constexpr const char* kFamilyNegativePrompt =
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，"
    "低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，"
    "毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走";

GenerationDefaults defaults(int64_t height, int64_t num_frames, int64_t fps, int64_t steps,
                            double guidance_scale, double guidance_scale_2) {
  return {.width = 1280,
          .height = height,
          .num_frames = num_frames,
          .fps = fps,
          .num_inference_steps = steps,
          .guidance_scale = guidance_scale,
          .guidance_scale_2 = guidance_scale_2,
          .negative_prompt = kFamilyNegativePrompt,
          .from_model = {}};
}

// Sets the member that `name` stands for; false for a name that no member has.
bool set_field(const JsonFields& fields, const std::string& name, bool two_experts,
               GenerationDefaults& values) {
  const auto integer = [&](int64_t& member) { member = fields.integer(name, 1, kMaxInteger); };
  const auto number = [&](double& member) { member = fields.number(name, 0, kMaxGuidance); };
  if (name == "width") {
    integer(values.width);
  } else if (name == "height") {
    integer(values.height);
  } else if (name == "num_frames") {
    integer(values.num_frames);
  } else if (name == "fps") {
    integer(values.fps);
  } else if (name == "num_inference_steps") {
    integer(values.num_inference_steps);
  } else if (name == "guidance_scale") {
    number(values.guidance_scale);
  } else if (name == "guidance_scale_2" && two_experts) {
    number(values.guidance_scale_2);
  } else if (name == "negative_prompt") {
    values.negative_prompt = fields.string(name);
  } else {
    return false;
  }
  return true;
}

}  // namespace

GenerationDefaults family_defaults(WanVariant variant) {
  switch (variant) {
    case WanVariant::kT2V:
      return defaults(720, 81, 16, 40, 4.0, 3.0);
    case WanVariant::kI2V:
      return defaults(720, 81, 16, 40, 3.5, 3.5);
    case WanVariant::kTI2V:
      return defaults(704, 121, 24, 50, 5.0, 5.0);
  }
  throw Error(Code::kInternal, "unknown Wan variant");
}

GenerationDefaults read_generation_defaults(const std::filesystem::path& model_directory,
                                            WanVariant variant) {
  GenerationDefaults values = family_defaults(variant);
  const std::filesystem::path path = model_directory / kFileName;
  if (!std::filesystem::exists(path)) return values;
  const nlohmann::json json = read_json_file(path);
  const JsonFields fields(json, path.string());
  const bool two_experts = variant != WanVariant::kTI2V;
  for (const auto& [name, value] : json.items()) {
    if (name.starts_with('_')) continue;  // notes of tools, as in Diffusers' files
    if (!set_field(fields, name, two_experts, values)) {
      throw Error(Code::kCorruptFile,
                  path.string() + ": " + printable(name) +
                      ": no default of this model; expected width, height, num_frames, fps, "
                      "num_inference_steps, guidance_scale" +
                      (two_experts ? ", guidance_scale_2" : "") + " or negative_prompt");
    }
    values.from_model += (values.from_model.empty() ? "" : ", ") + name;
  }
  return values;
}

}  // namespace mxvideo::checkpoint
