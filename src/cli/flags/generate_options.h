// Flags of `mxvideo generate`: SGLang's names, with the spellings of Wan2.2's generate.py, sd-cli
// and diffusers-cli as aliases. Every flag can also be set by the environment, as MXVIDEO_ and the
// flag's name in upper case.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "cli/progress.h"
#include "kernels/common/context.h"
#include "media/video_encoding.h"
#include "pipeline/generate_request.h"
#include "quantization/quantization_config.h"

namespace mxvideo::cli {

struct GenerateOptions {
  std::string model_path;
  std::string revision;
  std::string transformer_path, transformer_2_path;
  std::string transformer_weights_path, transformer_2_weights_path;
  std::string prompt;
  std::optional<std::string> negative_prompt;
  std::string image_path, last_image_path;
  std::optional<std::string> background, fit;
  std::optional<int64_t> width, height, num_frames, fps, num_inference_steps;
  std::optional<double> guidance_scale, guidance_scale_2, cfg_scale, flow_shift, boundary_ratio;
  std::string sigma_grid = "diffusers";
  std::optional<uint64_t> seed;  // none: random
  std::string latents_path;
  pipeline::VaeTilingMode vae_tiling = pipeline::VaeTilingMode::kAuto;
  quantization::QuantizationOptions quantization;
  std::string text_quantization = "none";
  std::string output, output_directory, output_file_name, output_format;
  media::EncodingChoice encoding;
  std::string report_path, save_latents_path, save_quantized;
  int threads = 0;  // 0: all
  std::map<std::string, std::string, std::less<>> forced_kernels;
  kernels::Compute compute = kernels::Compute::kAuto;
  kernels::AttentionProducts attention = kernels::AttentionProducts::kFp32;
  std::string text_cache;
  ProgressFlags progress;
  bool json = false;
  bool dry_run = false;
  bool overwrite = false;         // what exists already
  bool allow_overcommit = false;  // run although memory or disk may not suffice
};

// Adds the sub-command and its flags; values arrive in `options`, which must outlive the parse.
CLI::App* add_generate_options(CLI::App& app, GenerateOptions& options);

// Adds "plan": those flags of generate that change what a run needs.
CLI::App* add_plan_options(CLI::App& app, GenerateOptions& options);

// Where the video goes: --output, or --output-path and --output-file-name, or a name made of the
// prompt, the seed and the time in the current directory. "-" is standard output.
std::string output_path(const GenerateOptions& options, const pipeline::ResolvedRequest& request);

}  // namespace mxvideo::cli
