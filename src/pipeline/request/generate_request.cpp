#include "pipeline/request/generate_request.h"

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/text/field.h"
#include "pipeline/request/prompt_syntax.h"
#include "pipeline/request/request_fields.h"

namespace mxvideo::pipeline {
namespace {

using checkpoint::WanVariant;

[[noreturn]] void invalid(const std::string& message) {
  throw Error(Code::kInvalidArgument, message);
}

// The nearest multiples of `step` plus `offset` around `value`, inside [step + offset or offset if
// that is positive, maximum].
std::string nearest_valid(int64_t value, int64_t step, int64_t offset, int64_t maximum) {
  const int64_t minimum = offset > 0 ? offset : step;
  const int64_t highest = (maximum - offset) / step * step + offset;
  const int64_t inside = std::clamp(value, minimum, highest);
  const int64_t below = (inside - offset) / step * step + offset;
  const int64_t above = std::min(below + step, highest);
  return "nearest valid: " + std::to_string(below) +
         (above == below ? "" : " or " + std::to_string(above));
}

int64_t maximum_of(std::string_view name) {
  return static_cast<int64_t>(request_field(name).maximum);
}

void check_dimension(const char* name, int64_t value, int64_t multiple) {
  const int64_t maximum = maximum_of(name);
  if (value > 0 && value <= maximum && value % multiple == 0) return;
  invalid(field(name) + " " + std::to_string(value) + " is no multiple of " +
          std::to_string(multiple) + " up to " + std::to_string(maximum) + "; " +
          nearest_valid(value, multiple, 0, maximum));
}

void check_frames(int64_t frames, int64_t stride) {
  const int64_t maximum = maximum_of("num_frames");
  if (frames >= 1 && frames <= maximum && frames % stride == 1) return;
  invalid(field("num_frames") + " " + std::to_string(frames) + " is not " + std::to_string(stride) +
          "n+1 up to " + std::to_string(maximum) + "; " +
          nearest_valid(frames, stride, 1, maximum));
}

void check_images(const GenerateRequest& request, WanVariant variant) {
  if (variant == WanVariant::kT2V && request.image) {
    invalid(field("image_path") + ": T2V-A14B takes no image; use an I2V-A14B or TI2V-5B model");
  }
  if (variant == WanVariant::kI2V && !request.image) {
    invalid(field("image_path") + " is missing: I2V-A14B needs an image");
  }
  if (request.last_image && variant != WanVariant::kI2V) {
    invalid(field("last_image_path") + ": only I2V-A14B models take a last frame");
  }
}

// Width and height as asked for, from the aspect of the image, or the model's default.
void resolve_size(const GenerateRequest& request, const checkpoint::GenerationDefaults& defaults,
                  const ModelRules& rules, ResolvedRequest& resolved) {
  if (request.width.has_value() != request.height.has_value()) {
    invalid(field("width") + " and " + field("height") + " must be given together");
  }
  resolved.width = request.width.value_or(defaults.width);
  resolved.height = request.height.value_or(defaults.height);
  if (!request.width && request.image) {
    const int64_t area = defaults.width * defaults.height;
    const media::ImageSize size =
        rules.variant == WanVariant::kTI2V
            ? best_output_size(request.image->size, area, rules.pixel_multiple)
            : size_from_area(request.image->size, area, rules.pixel_multiple);
    resolved.width = size.width;
    resolved.height = size.height;
  }
  check_dimension("width", resolved.width, rules.pixel_multiple);
  check_dimension("height", resolved.height, rules.pixel_multiple);
}

// The reference guides with scales above 1 only; all others are one forward, of the prompt.
double effective_scale(double scale, std::vector<std::string>& notices) {
  if (scale >= 1) return scale;
  std::ostringstream line;
  line << "guidance scale " << scale
       << " is computed as 1, without guidance: only scales above 1 guide, as in the reference";
  notices.push_back(line.str());
  return 1;
}

void resolve_guidance(const GenerateRequest& request, WanVariant variant,
                      const checkpoint::GenerationDefaults& defaults, ResolvedRequest& resolved) {
  resolved.guidance_scale = request.guidance_scale.value_or(defaults.guidance_scale);
  check_range("guidance_scale", resolved.guidance_scale);
  resolved.guidance_scale = effective_scale(resolved.guidance_scale, resolved.notices);
  if (variant == WanVariant::kTI2V) {
    if (request.guidance_scale_2)
      invalid(field("guidance_scale_2") + ": TI2V-5B has one transformer only");
    resolved.guidance_scale_2 = resolved.guidance_scale;
    return;
  }
  const double fallback =
      request.guidance_scale ? resolved.guidance_scale : defaults.guidance_scale_2;
  resolved.guidance_scale_2 = request.guidance_scale_2.value_or(fallback);
  check_range("guidance_scale_2", resolved.guidance_scale_2);
  resolved.guidance_scale_2 = effective_scale(resolved.guidance_scale_2, resolved.notices);
}

}  // namespace

bool ResolvedRequest::use_guidance() const {
  return (expert_steps[0] > 0 && guided(0)) || (expert_steps[1] > 0 && guided(1));
}

ResolvedRequest resolve_request(const GenerateRequest& request, const ModelRules& rules) {
  const WanVariant variant = rules.variant;
  const checkpoint::GenerationDefaults& defaults = rules.defaults;
  check_images(request, variant);
  ResolvedRequest resolved;
  resolved.prompt = request.prompt;
  resolved.negative_prompt = request.negative_prompt.value_or(defaults.negative_prompt);
  resolved.seed = request.seed.value_or(0);
  check_prompt_syntax("prompt", resolved.prompt, resolved.notices);
  check_prompt_syntax("negative prompt", resolved.negative_prompt, resolved.notices);
  resolve_size(request, defaults, rules, resolved);
  const bool cut = variant == WanVariant::kTI2V && !request.width;
  resolved.image_fit = request.image_fit.value_or(cut ? ImageFit::kCover : ImageFit::kStretch);
  resolved.num_frames = request.num_frames.value_or(defaults.num_frames);
  check_frames(resolved.num_frames, rules.frame_stride);
  if (request.last_image && resolved.num_frames == 1) {
    invalid(field("last_image_path") +
            ": a video of one frame has no last frame beside its first; expected " +
            field("num_frames") + " " + std::to_string(rules.frame_stride + 1) + " or more");
  }
  resolved.fps = request.fps.value_or(defaults.fps);
  check_range("fps", resolved.fps);
  resolved.num_inference_steps = request.num_inference_steps.value_or(defaults.num_inference_steps);
  check_range("num_inference_steps", resolved.num_inference_steps);
  resolve_guidance(request, variant, defaults, resolved);
  if (request.boundary_ratio && variant == WanVariant::kTI2V) {
    invalid(field("boundary_ratio") + ": TI2V-5B has one transformer only");
  }
  resolved.boundary_ratio = request.boundary_ratio.value_or(rules.boundary_ratio);
  check_range("boundary_ratio", resolved.boundary_ratio);
  resolved.flow_shift = request.flow_shift.value_or(rules.flow_shift);
  check_range("flow_shift", resolved.flow_shift);
  return resolved;
}

}  // namespace mxvideo::pipeline
