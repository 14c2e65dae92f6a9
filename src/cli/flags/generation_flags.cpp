#include "cli/flags/generation_flags.h"

#include <charconv>
#include <cstring>

#include "base/parallel.h"
#include "cli/flags/environment.h"
#include "formats/mx_block.h"
#include "kernels/registry.h"

namespace mxvideo::cli {
namespace {

constexpr const char* kModelGroup = "Model";
constexpr const char* kVideoGroup = "Video";
constexpr const char* kSamplingGroup = "Sampling";

std::vector<std::string> scheme_names() {
  std::vector<std::string> names;
  for (const quantization::SchemeEntry& scheme : quantization::quantization_schemes()) {
    names.emplace_back(scheme.name);
  }
  return names;
}

// "832x480", "832*480" or "832,480".
void parse_size(const std::string& text, GenerateOptions& options) {
  int64_t width = 0, height = 0;
  const char* end = text.data() + text.size();
  const auto [middle, error] = std::from_chars(text.data(), end, width);
  const bool separated = error == std::errc() && middle != end && std::strchr("xX*,", *middle);
  const auto last = separated ? std::from_chars(middle + 1, end, height)
                              : std::from_chars_result{end, std::errc::invalid_argument};
  if (last.ec != std::errc() || last.ptr != end) {
    throw CLI::ValidationError("--size", "expected WIDTHxHEIGHT, got '" + text + "'");
  }
  options.width = width;
  options.height = height;
}

// Of 64 bits, as torch takes them; -1 is none.
std::optional<uint64_t> parse_seed(const std::string& text) {
  if (text == "-1") return std::nullopt;
  uint64_t seed = 0;
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, seed);
  if (error != std::errc() || last != end) {
    throw CLI::ValidationError("--seed",
                               "expected a whole number from 0 to 18446744073709551615, or -1 for "
                               "a random one, got '" +
                                   text + "'");
  }
  return seed;
}

void parse_kernel(const std::string& text, GenerateOptions& options) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw CLI::ValidationError("--kernel", "expected OP=ROW, got '" + text + "'");
  }
  options.forced_kernels[text.substr(0, equals)] = text.substr(equals + 1);
}

}  // namespace

std::vector<std::string> scale_rule_names() {
  using formats::ScaleRule;
  std::vector<std::string> names;
  for (const ScaleRule rule :
       {ScaleRule::kRceil, ScaleRule::kFloor, ScaleRule::kCeil, ScaleRule::kEven}) {
    names.emplace_back(formats::scale_rule_name(rule));
  }
  return names;
}

void add_model_flags(CLI::App& app, GenerateOptions& o) {
  app.add_option("-m,--model-path,--model,--ckpt_dir", o.model_path,
                 "Model directory in the Diffusers layout, or org/name[@revision] in the local "
                 "Hugging Face or ModelScope cache; never the network")
      ->required()
      ->group(kModelGroup);
  app.add_option("--revision", o.revision, "Revision of org/name (default main)")
      ->group(kModelGroup);
  app.add_option(
         "--transformer-path", o.transformer_path,
         "Directory, or org/name, to use instead of the model's transformer (the high-noise "
         "expert)")
      ->group(kModelGroup);
  app.add_option("--transformer-2-path", o.transformer_2_path,
                 "The same for transformer_2, the low-noise expert")
      ->group(kModelGroup);
  app.add_option(
         "--transformer-weights-path", o.transformer_weights_path,
         "Weights of the transformer: a safetensors file in Diffusers, original Wan or ComfyUI "
         "form, a directory or org/name; of a pair the file that its name says")
      ->group(kModelGroup);
  app.add_option("--transformer-2-weights-path", o.transformer_2_weights_path,
                 "The same for transformer_2")
      ->group(kModelGroup);
  add_allow_links_flag(app, kModelGroup);
}

void add_ignored_layers_flag(CLI::App& app, GenerateOptions& o) {
  app.add_option("--quantization-ignored-layers,--ignored-layers", o.quantization.ignored_layers,
                 "Layers to compute unquantized, comma-separated globs: 'blocks.0.*,*.attn2.to_k'")
      ->delimiter(',')
      ->group(kModelGroup);
}

void add_quantization_flags(CLI::App& app, GenerateOptions& o) {
  app.add_option(
         "--quantization,--type", o.quantization.scheme,
         "Scheme: none, mxfp8 or mxint8 (quantize while loading) or modelslim (default: what the "
         "files declare)")
      ->transform(choice_of(scheme_names()))
      ->group(kModelGroup);
  add_ignored_layers_flag(app, o);
  app.add_option("--text-encoder-quantization", o.text_quantization,
                 "Scheme of the text encoder's linear layers: none, mxfp8 or mxint8, while loading")
      ->transform(choice_of({"none", "mxfp8", "mxint8"}))
      ->capture_default_str()
      ->group(kModelGroup);
  app.add_option_function<std::string>(
         "--mx-scale-rule",
         [&o](const std::string& name) {
           o.quantization.mx.scale_rule = formats::parse_scale_rule(name);
         },
         "Block scale of mxfp8 and mxint8: rceil (default), floor, ceil or even")
      ->transform(choice_of(scale_rule_names()))
      ->group(kModelGroup);
}

void add_prompt_flag(CLI::App& app, GenerateOptions& o) {
  app.add_option("-p,--prompt", o.prompt, "What to show; - reads it from standard input")
      ->check(is_not_blank())
      ->group(kVideoGroup);
}

void add_negative_prompt_flag(CLI::App& app, GenerateOptions& o) {
  app.add_option("-n,--negative-prompt", o.negative_prompt,
                 "What to avoid (default: the negative prompt that Wan2.2 ships with)")
      ->group(kVideoGroup);
}

void add_image_flags(CLI::App& app, GenerateOptions& o) {
  app.add_option("-i,--image-path,--image", o.image_path,
                 "First frame: PNG, JPEG, WebP, AVIF or HEIC (I2V-A14B and TI2V-5B)")
      ->group(kVideoGroup);
  app.add_option("--last-image-path,--end-img", o.last_image_path, "Last frame (I2V-A14B)")
      ->group(kVideoGroup);
  app.add_option("--background", o.background,
                 "Colour behind transparent parts of images and beside contained ones, a name or "
                 "#RRGGBB (default black)")
      ->group(kVideoGroup);
  app.add_option("--fit", o.fit,
                 "Images of another aspect than the video's: stretch, cover (cut off) or contain "
                 "(bars; default: stretch to a size that is given, as Diffusers does)")
      ->transform(choice_of({"stretch", "cover", "contain"}))
      ->group(kVideoGroup);
}

void add_frame_flags(CLI::App& app, GenerateOptions& o) {
  auto* size = app.add_option_function<std::string>(
                      "--size", [&o](const std::string& text) { parse_size(text, o); },
                      "WIDTHxHEIGHT in pixels")
                   ->group(kVideoGroup);
  app.add_option("-W,--width", o.width, "Width in pixels")
      ->check(is_integer())
      ->excludes(size)
      ->group(kVideoGroup);
  app.add_option("-H,--height", o.height, "Height in pixels")
      ->check(is_integer())
      ->excludes(size)
      ->group(kVideoGroup);
  app.add_option("--num-frames,--frame_num,--video-frames", o.num_frames,
                 "Number of frames, 4n+1 (default 81, TI2V-5B 121)")
      ->check(is_integer())
      ->group(kVideoGroup);
  app.add_option("--fps", o.fps, "Frames per second (default 16, TI2V-5B 24)")
      ->check(is_integer())
      ->group(kVideoGroup);
}

void add_sampling_flags(CLI::App& app, GenerateOptions& o) {
  app.add_option("--num-inference-steps,--sample_steps,--steps", o.num_inference_steps,
                 "Denoising steps (default 40, TI2V-5B 50)")
      ->check(is_integer())
      ->group(kSamplingGroup);
  app.add_option("--guidance-scale,--guidance-high,--sample_guide_scale,--high-noise-cfg-scale",
                 o.guidance_scale,
                 "Guidance of the high-noise expert, or of the only one (default T2V 4, I2V 3.5, "
                 "TI2V 5)")
      ->group(kSamplingGroup);
  app.add_option("--guidance-scale-2,--guidance-low", o.guidance_scale_2,
                 "Guidance of the low-noise expert (default T2V 3, I2V 3.5; --guidance-scale when "
                 "that is given)")
      ->group(kSamplingGroup);
  app.add_option("--cfg-scale", o.cfg_scale,
                 "sd-cli's name: the low-noise expert where there are two, else the only one")
      ->group(kSamplingGroup);
  app.add_option("--flow-shift,--sample_shift", o.flow_shift,
                 "Timestep shift (default: scheduler_config.json)")
      ->group(kSamplingGroup);
  app.add_option("--sigma-grid", o.sigma_grid, "Sigmas as in diffusers, wan or sglang")
      ->transform(choice_of({"diffusers", "wan", "sglang"}))
      ->capture_default_str()
      ->group(kSamplingGroup);
  app.add_option("--boundary-ratio,--moe-boundary", o.boundary_ratio,
                 "Where the low-noise expert takes over, 0 to 1 (default: model_index.json)")
      ->group(kSamplingGroup);
}

void add_overwrite_flag(CLI::App& app, bool& overwrite) {
  app.add_flag("--overwrite", overwrite, "Replace outputs that exist, at the very end")
      ->group(kOutputGroup);
}

void add_noise_flags(CLI::App& app, GenerateOptions& o) {
  const std::string default_seed = o.seed ? std::to_string(*o.seed) : "-1";
  app.add_option_function<std::string>(
         "-s,--seed,--base_seed", [&o](const std::string& text) { o.seed = parse_seed(text); },
         "Seed of the noise, the same as torch's CPU generator; -1 draws one and prints it")
      ->default_str(default_seed)
      ->group(kSamplingGroup);
  app.add_option("--latents", o.latents_path,
                 "Initial noise instead of the seed's: safetensors file with tensor 'latents'")
      ->group(kSamplingGroup);
}

void add_run_flags(CLI::App& app, GenerateOptions& o) {
  app.add_option("--threads", o.threads, "Threads (default: all of this machine)")
      ->check(CLI::Range(1, 4096))
      ->group(kRunGroup);
  app.add_option("--text-cache", o.text_cache,
                 "Keep prompt embeddings in this directory and take known ones from there, without "
                 "loading the text encoder (default: none)")
      ->check(is_not_empty())
      ->group(kRunGroup);
  app.add_option_function<std::string>(
         "--vae-tiling",
         [&o](const std::string& mode) {
           o.vae_tiling = mode == "on"    ? pipeline::VaeTilingMode::kOn
                          : mode == "off" ? pipeline::VaeTilingMode::kOff
                                          : pipeline::VaeTilingMode::kAuto;
         },
         "Decode frames in tiles: auto (large frames), on or off")
      ->transform(choice_of({"auto", "on", "off"}))
      ->group(kRunGroup);
  app.add_option_function<std::vector<std::string>>(
         "--kernel",
         [&o](const std::vector<std::string>& choices) {
           for (const std::string& choice : choices) parse_kernel(choice, o);
         },
         "Force a kernel row, OP=ROW as `mxvideo doctor` lists them; may be repeated, or several "
         "with commas")
      ->delimiter(',')
      ->group(kRunGroup);
  add_compute_flag(app, o.compute)->group(kRunGroup);
  add_attention_flag(app, o.attention)->group(kRunGroup);
  add_progress_flags(app, o.progress);
}

CLI::Option* add_compute_flag(CLI::App& app, kernels::Compute& compute) {
  return app
      .add_option_function<std::string>(
          "--compute",
          [&compute](const std::string& name) { compute = kernels::parse_compute(name); },
          "Products of mxfp8 layers: exact (of the format's definition), auto (default; also those "
          "in int8 where they add little noise) or fast (int8 wherever this CPU has it)")
      ->transform(choice_of({"exact", "auto", "fast"}));
}

CLI::Option* add_attention_flag(CLI::App& app, kernels::AttentionProducts& attention) {
  return app
      .add_option_function<std::string>(
          "--attention",
          [&attention](const std::string& name) {
            attention = kernels::parse_attention_products(name);
          },
          "Products of the transformers' self attention: fp32 (default) or int8 (faster; adds "
          "noise about 40 dB below its result)")
      ->transform(choice_of({"fp32", "int8"}));
}

void apply_run_flags(const GenerateOptions& o) {
  if (o.threads > 0) set_num_threads(o.threads);
  for (const auto& [op, row] : o.forced_kernels) kernels::check_row_runs(op, row);
}

}  // namespace mxvideo::cli
