#include "pipeline/wan_pipeline.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/system/memory_usage.h"
#include "base/text/field.h"
#include "base/text/glob.h"
#include "base/text/json.h"
#include "base/text/nearest_name.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/declaration/scale_order.h"
#include "checkpoint/wan/experts.h"
#include "checkpoint/wan/key_map.h"
#include "media/image_resize.h"
#include "pipeline/image_condition.h"
#include "pipeline/open_model.h"
#include "pipeline/torch_random.h"
#include "pipeline/wan_decode.h"
#include "pipeline/wan_run.h"
#include "tokenizer/prompt_cleaner.h"

namespace mxvideo::pipeline {
namespace {

using checkpoint::Checkpoint;
using checkpoint::WanVariant;

// A change of aspect by more than this factor is worth a line.
constexpr double kNoticedStretch = 1.05;

template <class Config>
Config read_config(const std::filesystem::path& directory, const char* file = "config.json") {
  const std::filesystem::path path = directory / file;
  return Config::from_json(read_json_file(path), path.string());
}

// Refuses what the tokenizer would, which says "prompt: …", by the name of this text.
void check_text(const char* name, const std::string& text) {
  constexpr size_t kPrompt = std::string_view("prompt").size();
  try {
    tokenizer::clean_prompt(text);
  } catch (const Error& error) {
    throw Error(error.code(), field(name) + std::string(error.what()).substr(kPrompt));
  }
}

}  // namespace

WanPipeline::WanPipeline(PipelineOptions options)
    : options_(std::move(options)),
      directory_(open_model(options_)),
      text_config_(read_config<models::Umt5Config>(directory_.path("text_encoder"))),
      vae_config_(read_config<models::WanVaeConfig>(directory_.path("vae"))),
      scheduler_config_(
          read_config<SchedulerConfig>(directory_.path("scheduler"), "scheduler_config.json")),
      defaults_(
          checkpoint::read_generation_defaults(options_.model_directory, directory_.variant)) {
  std::vector<Checkpoint> files;
  for (const char* component : {checkpoint::kHighNoiseExpert, checkpoint::kLowNoiseExpert}) {
    if (directory_.has(component)) experts_.push_back(plan_expert(component, files));
  }
  if (has_two_experts()) check_experts(options_, files[0], files[1]);
  check_configs();
  check_quantization();
  check_text_quantization();
}

WanExpert WanPipeline::plan_expert(const std::string& component,
                                   std::vector<Checkpoint>& opened) const {
  WanExpert expert;
  expert.name = component;
  const auto weights = options_.weights_paths.find(component);
  expert.weights =
      weights == options_.weights_paths.end() ? directory_.path(component) : weights->second;
  const std::string config = directory_.config_path(component).string();
  expert.config =
      models::WanTransformerConfig::from_json(directory_.transformer_config(component), config);
  checkpoint::TransformerCheckpoint files = checkpoint::open_transformer_checkpoint(expert.weights);
  expert.declared_origin = files.quantization.origin;
  auto resolved = quantization::resolve_quantization(options_.quantization, files.quantization);
  expert.quantization = options_.wrap_quantization
                            ? options_.wrap_quantization(component, std::move(resolved.config))
                            : std::move(resolved.config);
  expert.notices = std::move(resolved.notices);
  const std::string order = checkpoint::scale_order_warning(files);
  if (!order.empty()) expert.notices.push_back(order);
  expert.notices.insert(expert.notices.end(), files.checkpoint.notices().begin(),
                        files.checkpoint.notices().end());
  if (!experts_.empty() && config == directory_.config_path(experts_[0].name).string()) {
    expert.notices.push_back(component + ": config.json is not there; uses " + config);
  }
  opened.push_back(std::move(files.checkpoint));
  return expert;
}

// The components must fit together; a wrong pair would otherwise fail late or, worse, run.
void WanPipeline::check_configs() const {
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds) throw Error(Code::kCorruptFile, options_.model_directory.string() + ": " + what);
  };
  const models::WanTransformerConfig& t = transformer_config();
  const int64_t z = vae_config_.z_dim;
  const int64_t expected_in =
      directory_.variant == WanVariant::kI2V ? 2 * z + vae_config_.scale_factor_temporal : z;
  require(t.in_channels == expected_in, "transformer in_channels " + std::to_string(t.in_channels) +
                                            " does not fit the VAE; expected " +
                                            std::to_string(expected_in));
  require(t.out_channels == z, "transformer out_channels " + std::to_string(t.out_channels) +
                                   " differs from the VAE's z_dim " + std::to_string(z));
  require(t.text_dim == text_config_.d_model, "transformer text_dim " + std::to_string(t.text_dim) +
                                                  " differs from the text encoder's d_model " +
                                                  std::to_string(text_config_.d_model));
  if (!has_two_experts()) return;
  const models::WanTransformerConfig& t2 = experts_[1].config;
  require(t2.in_channels == t.in_channels && t2.out_channels == t.out_channels &&
              t2.text_dim == t.text_dim && t2.patch_size == t.patch_size,
          "transformer and transformer_2 differ in channels, text_dim or patch_size");
}

// Every layer must fit the scheme, and every glob must mean some layer.
void WanPipeline::check_quantization() const {
  std::vector<std::string> names;
  for (const WanExpert& expert : experts_) {
    const models::WanTransformer model(expert.config, *expert.quantization);
    for (const quantization::LinearMethod* linear : model.linears()) {
      names.push_back(linear->name());
    }
  }
  for (const std::string& pattern : options_.quantization.ignored_layers) {
    const bool used =
        std::ranges::any_of(names, [&](const auto& name) { return glob_match(pattern, name); });
    if (!used) {
      throw Error(Code::kInvalidArgument, field("quantization_ignored_layers") + ": '" + pattern +
                                              "' matches no linear layer; the nearest is '" +
                                              nearest_to_glob(pattern, names) + "'");
    }
  }
}

// Rotary positions end at rope_max_seq_len patches along each axis.
void WanPipeline::check_positions(const ResolvedRequest& request) const {
  const models::WanTransformerConfig& t = transformer_config();
  const int64_t longest = std::min(t.rope_max_seq_len, experts_.back().config.rope_max_seq_len);
  const auto check_axis = [&](const std::string& name, int64_t value, int64_t maximum) {
    if (value <= maximum) return;
    throw Error(Code::kInvalidArgument,
                name + " " + std::to_string(value) + " is beyond this model; at most " +
                    std::to_string(maximum) + ", by rope_max_seq_len " + std::to_string(longest));
  };
  const int64_t pixels = longest * vae_config_.scale_factor_spatial;
  check_axis(field("num_frames"), request.num_frames,
             (longest * t.patch_size[0] - 1) * vae_config_.scale_factor_temporal + 1);
  check_axis(field("height"), request.height, pixels * t.patch_size[1]);
  check_axis(field("width"), request.width, pixels * t.patch_size[2]);
}

// Every file that a generation will need, before the first stage: a missing tensor of the VAE must
// not show after an hour of denoising.
void WanPipeline::check_files() const {
  const auto check_component = [&](const std::string& name, checkpoint::Component component,
                                   auto&& model) {
    Checkpoint checkpoint = Checkpoint::open_directory(directory_.path(name));
    checkpoint::normalize_names(checkpoint, component);
    checkpoint::ParameterLoader loader;
    model.declare_parameters(loader);
    loader.check_key_set(checkpoint);
  };
  check_component("text_encoder", checkpoint::Component::kTextEncoder, make_text_encoder());
  check_component("vae", checkpoint::Component::kVae, models::WanVae(vae_config_));
  for (const WanExpert& expert : experts_) {
    models::WanTransformer model(expert.config, *expert.quantization);
    checkpoint::ParameterLoader loader;
    expert.quantization->declare_companions(loader);
    model.declare_parameters(loader);
    loader.check_key_set(checkpoint::open_transformer_checkpoint(expert.weights).checkpoint);
  }
}

int64_t WanPipeline::pixel_multiple() const {
  return vae_config_.scale_factor_spatial * transformer_config().patch_size[1];
}

ResolvedRequest WanPipeline::resolve(const GenerateRequest& request) const {
  ResolvedRequest resolved =
      resolve_request(request, {.variant = directory_.variant,
                                .pixel_multiple = pixel_multiple(),
                                .frame_stride = vae_config_.scale_factor_temporal,
                                .boundary_ratio = directory_.index.boundary_ratio.value_or(0),
                                .flow_shift = scheduler_config_.flow_shift,
                                .defaults = defaults_});
  check_positions(resolved);
  count_expert_steps(request, resolved);
  resolved.vae_tiling = uses_vae_tiling(request.vae_tiling, resolved.width, resolved.height);
  check_text("prompt", resolved.prompt);
  check_text("negative_prompt", resolved.negative_prompt);
  return resolved;
}

Shape WanPipeline::latent_shape(const ResolvedRequest& request) const {
  return {vae_config_.z_dim, (request.num_frames - 1) / vae_config_.scale_factor_temporal + 1,
          request.height / vae_config_.scale_factor_spatial,
          request.width / vae_config_.scale_factor_spatial};
}

Tensor WanPipeline::prepare_image(WanRun& run, const media::RgbImage& image) const {
  const media::ImageSize target{.height = run.request.height, .width = run.request.width};
  const double aspect =
      static_cast<double>(image.size.width) / static_cast<double>(image.size.height);
  const double stretch =
      aspect * static_cast<double>(target.height) / static_cast<double>(target.width);
  const bool noticed = stretch > kNoticedStretch || stretch < 1 / kNoticedStretch;
  if (noticed && !run.asked.image_fit && run.request.image_fit == ImageFit::kStretch) {
    run.notice("the image is " + std::to_string(image.size.width) + "x" +
               std::to_string(image.size.height) + " and is stretched to " +
               std::to_string(target.width) + "x" + std::to_string(target.height) +
               "; fit it by cover or contain" +
               (run.asked.width ? ", or leave out the size," : "") + " to keep its aspect");
  }
  return to_signed_tensor(fit_image(image, target, run.request.image_fit, run.asked.image_padding))
      .copy_to(run.context.device());
}

VaeFiles WanPipeline::vae_files() const {
  return {.directory = directory_.path("vae"), .config = vae_config_};
}

void WanPipeline::encode_condition(WanRun& run) const {
  if (!run.asked.image) return;
  const Tensor first = prepare_image(run, *run.asked.image);
  const std::unique_ptr<models::WanVae> vae =
      load_vae(run, vae_files(), {.encoder = true, .decoder = false});
  const StageTimer timer(run.report, "encode_image");
  Tensor video;
  if (directory_.variant == WanVariant::kTI2V) {
    video = condition_video(first, nullptr, 1, run.context);
  } else if (run.asked.last_image) {
    const Tensor last = prepare_image(run, *run.asked.last_image);
    video = condition_video(first, &last, run.request.num_frames, run.context);
  } else {
    video = condition_video(first, nullptr, run.request.num_frames, run.context);
  }
  Tensor latents = vae->encode(video, vae_run(run, "encode image"));
  models::normalize_latents(vae_config_, latents, run.context);
  run.condition = directory_.variant == WanVariant::kTI2V
                      ? std::move(latents)
                      : i2v_condition(latents,
                                      {.frames = run.request.num_frames,
                                       .stride = vae_config_.scale_factor_temporal,
                                       .last_is_given = run.asked.last_image.has_value()},
                                      run.context);
}

void WanPipeline::initial_latents(WanRun& run) const {
  const Shape shape = latent_shape(run.request);
  if (!run.asked.initial_noise) {
    TorchGenerator generator(run.request.seed);
    run.latents = generator.randn(shape).copy_to(run.context.device());
    return;
  }
  if (run.asked.initial_noise->shape() != shape) {
    throw Error(Code::kInvalidArgument, field("latents") + ": expected shape " + shape.to_string() +
                                            " for this request, got " +
                                            run.asked.initial_noise->shape().to_string());
  }
  run.latents = run.asked.initial_noise->copy_to(run.context.device());
}

kernels::RunPolicy WanPipeline::run_policy() const {
  return {.forced_rows = options_.forced_kernels,
          .compute = options_.compute,
          .attention = options_.attention};
}

kernels::Context WanPipeline::make_context() const {
  return kernels::Context(run_policy(), *options_.device);
}

GenerateResult WanPipeline::generate_latents(const GenerateRequest& request,
                                             const RunHooks& hooks) const {
  WanRun run{
      .asked = request, .request = resolve(request), .hooks = hooks, .context = make_context()};
  reset_peak_resident_bytes();
  for (const std::string& line : request.notices) run.notice(line);
  for (const std::string& line : run.request.notices) run.notice(line);
  check_files();
  initial_latents(run);
  // What a stage has freed goes back before the next one: blocks of the heap stay otherwise.
  encode_prompts(run);
  trim_heap();
  encode_condition(run);
  trim_heap();
  denoise(run);
  trim_heap();
  Tensor latents = run.latents.copy_to(cpu_device());
  if (hooks.on_latents) hooks.on_latents(latents);
  run.report.add_kernels(run.context);
  return {.latents = std::move(latents),
          .request = std::move(run.request),
          .report = std::move(run.report)};
}

void WanPipeline::decode(GenerateResult& result, const RunHooks& hooks) const {
  const GenerateRequest asked;
  WanRun run{.asked = asked,
             .request = result.request,
             .hooks = hooks,
             .report = result.report,
             .context = make_context()};
  run.latents = result.latents.copy_to(run.context.device());
  decode_latents(run, vae_files());
  run.report.add_kernels(run.context);
  result.report = std::move(run.report);
}

GenerateResult WanPipeline::generate(const GenerateRequest& request, const RunHooks& hooks) const {
  GenerateResult result = generate_latents(request, hooks);
  decode(result, hooks);
  return result;
}

}  // namespace mxvideo::pipeline
