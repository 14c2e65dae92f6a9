#include "cli/flags/generate_request.h"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <iterator>
#include <optional>
#include <random>

#include "base/error.h"
#include "cli/flags/environment.h"
#include "cli/latents_file.h"
#include "device/ascend/ascend_device.h"
#include "media/image/image_reader.h"

namespace mxvideo::cli {
namespace {

namespace fs = std::filesystem;
using pipeline::GenerateRequest;

// The prompt itself, or standard input for "-".
std::string read_prompt(const std::string& argument) {
  if (argument != "-") return argument;
  constexpr size_t kMaxPromptBytes = 1 << 20;
  std::string text(std::istreambuf_iterator<char>(std::cin), {});
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.size() > kMaxPromptBytes) {
    throw Error(Code::kInvalidArgument, "--prompt -: more than 1 MiB on standard input");
  }
  if (text.find_first_not_of(" \t\r\n\f\v") == std::string::npos) {
    throw Error(Code::kInvalidArgument, "--prompt -: standard input holds no text");
  }
  return text;
}

uint64_t choose_seed(std::optional<uint64_t> asked) {
  if (asked) return *asked;
  std::random_device device;
  return device();  // 32 bits: easy to type again
}

// Reads a file that a flag names; what is wrong with it is wrong with the flag, not the model.
template <class Read>
auto read_flag_file(const std::string& flag, const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    const bool of_file = error.code() == Code::kNotFound || error.code() == Code::kCorruptFile ||
                         error.code() == Code::kUnsupported;
    throw Error(of_file ? Code::kInvalidArgument : error.code(), flag + ": " + error.what());
  }
}

// The initial noise of --latents.
Tensor read_noise(const fs::path& path, std::vector<std::string>& notices) {
  LatentsFile file = read_latents(path);
  if (file.denoised) {
    throw Error(Code::kInvalidArgument,
                path.string() +
                    ": holds denoised latents, the end of a run and no noise to begin one with; "
                    "mxvideo decode makes the video of them");
  }
  const std::string doubt = why_no_noise(file.latents);
  if (!doubt.empty()) {
    notices.push_back(path.string() + " is taken as initial noise, but looks like none (" + doubt +
                      "); of denoised latents mxvideo decode makes the video");
  }
  return std::move(file.latents);
}

void read_images(const GenerateOptions& options, GenerateRequest& request) {
  const media::RgbColor background = read_flag_file(
      "--background", [&] { return media::parse_color(options.background.value_or("black")); });
  bool transparent = false;
  const auto read = [&](const std::string& flag, const std::string& path,
                        std::optional<media::RgbImage>& image, std::string& sha256) {
    if (path.empty()) return;
    media::InputImage input =
        read_flag_file(flag, [&] { return media::read_image(path, background); });
    image = std::move(input.image);
    sha256 = std::move(input.sha256);
    transparent = transparent || input.transparent;
    request.notices.insert(request.notices.end(), input.notices.begin(), input.notices.end());
  };
  read("--image-path", options.image_path, request.image, request.image_sha256);
  read("--last-image-path", options.last_image_path, request.last_image, request.last_image_sha256);
  request.image_padding = background;
  const char* of_images = options.background  ? "--background"
                          : options.image_fit ? "--fit"
                                              : nullptr;
  if (of_images != nullptr && !request.image && !request.last_image) {
    throw Error(Code::kInvalidArgument,
                std::string(of_images) + " is about an image; --image-path is missing");
  }
  if (options.background && !transparent && request.image_fit != pipeline::ImageFit::kContain) {
    request.notices.emplace_back(
        "--background changes nothing: no image is transparent, and none is fitted by contain");
  }
}

}  // namespace

void apply_cfg_scale(const GenerateOptions& options, checkpoint::WanVariant variant,
                     GenerateRequest& request, Progress& progress) {
  if (!options.cfg_scale) return;
  const bool two_experts = variant != checkpoint::WanVariant::kTI2V;
  std::optional<double>& target = two_experts ? request.guidance_scale_2 : request.guidance_scale;
  if (target) {
    throw Error(Code::kInvalidArgument,
                fmt::format("--cfg-scale means {} for this model, which is given too",
                            two_experts ? "--guidance-scale-2" : "--guidance-scale"));
  }
  progress.line(fmt::format("--cfg-scale {} taken as {}", *options.cfg_scale,
                            two_experts ? "--guidance-scale-2 (low noise)" : "--guidance-scale"));
  target = options.cfg_scale;
}

pipeline::PipelineOptions pipeline_options(const GenerateOptions& options) {
  pipeline::PipelineOptions result;
  checkpoint::ModelNeeds needs;
  const auto put = [&](auto& paths, const char* component, const std::string& path) {
    if (path.empty()) return;
    paths[component] = find_part(path);
    needs.components[component] = false;
  };
  put(result.component_paths, "transformer", options.transformer_path);
  put(result.component_paths, "transformer_2", options.transformer_2_path);
  put(result.weights_paths, "transformer", options.transformer_weights_path);
  put(result.weights_paths, "transformer_2", options.transformer_2_weights_path);
  result.model_directory = find_model(options.model_path, options.revision, needs);
  result.quantization = options.quantization;
  result.text_quantization = options.text_quantization;
  result.policy = options.policy;
  result.text_cache = options.text_cache;
  if (options.device == DeviceKind::kAscend) {
    result.owned_device = std::make_shared<ascend::AscendDevice>();
    result.device = result.owned_device.get();
  }
  return result;
}

GenerateRequest make_request(const GenerateOptions& options) {
  GenerateRequest request;
  static_cast<pipeline::GenerationParameters&>(request) = options;
  request.prompt = read_prompt(options.prompt);
  read_images(options, request);
  request.seed = choose_seed(options.seed);
  if (!options.latents_path.empty()) {
    request.initial_noise = read_flag_file(
        "--latents", [&] { return read_noise(options.latents_path, request.notices); });
  }
  return request;
}

}  // namespace mxvideo::cli
