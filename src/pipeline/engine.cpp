#include "pipeline/engine.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/text/field.h"
#include "base/text/format.h"
#include "base/text/glob.h"
#include "base/text/json.h"
#include "base/text/nearest_name.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/declaration/scale_order.h"
#include "checkpoint/wan/experts.h"
#include "checkpoint/wan/key_map.h"
#include "pipeline/open_model.h"
#include "pipeline/stages/decode.h"
#include "tokenizer/prompt_cleaner.h"

namespace mxvideo::pipeline {
namespace {

using checkpoint::Checkpoint;
using checkpoint::WanVariant;

// As the tokenizer takes it. What it refuses, which it calls "prompt: …", has the name of this
// text.
std::string clean_text(const char* name, const std::string& text) {
  constexpr size_t kPrompt = std::string_view("prompt").size();
  try {
    return tokenizer::clean_prompt(text);
  } catch (const Error& error) {
    throw Error(error.code(), field(name) + std::string(error.what()).substr(kPrompt));
  }
}

// The files of a component under the names that its model declares.
Checkpoint open_component(const checkpoint::ModelDirectory& model, const char* name,
                          checkpoint::Component component) {
  Checkpoint files = Checkpoint::open_directory(model.path(name));
  checkpoint::normalize_names(files, component);
  return files;
}

template <class Model>
void check_keys(Model&& model, const Checkpoint& files, checkpoint::ParameterLoader loader = {}) {
  model.declare_parameters(loader);
  loader.check_key_set(files);
}

void check_text_quantization(const std::string& scheme) {
  const std::vector<std::string> known =
      quantization::scheme_names(quantization::SchemeSet::kUndeclared);
  if (std::ranges::find(known, scheme) != known.end()) return;
  throw Error(Code::kInvalidArgument, field("text_encoder_quantization") +
                                          ": expected none, mxfp8 or mxint8, got '" + scheme + "'");
}

}  // namespace

template <class Config>
Config Engine::read_config(const std::string& component, const char* file) {
  const std::filesystem::path path = directory_.path(component) / file;
  const nlohmann::json config = read_json_file(path);
  config_texts_[component] = config.dump();
  return Config::from_json(config, path.string());
}

Engine::Engine(PipelineOptions options)
    : options_(std::move(options)),
      directory_(open_model(options_)),
      text_config_(read_config<models::Umt5Config>("text_encoder")),
      vae_config_(read_config<models::WanVaeConfig>("vae")),
      scheduler_config_(read_config<SchedulerConfig>("scheduler", "scheduler_config.json")),
      defaults_(checkpoint::read_generation_defaults(options_.model_directory, directory_.variant)),
      text_files_(open_component(directory_, "text_encoder", checkpoint::Component::kTextEncoder)),
      vae_files_(open_component(directory_, "vae", checkpoint::Component::kVae)),
      residency_(options_.resident_bytes) {
  for (const char* component : {checkpoint::kHighNoiseExpert, checkpoint::kLowNoiseExpert}) {
    if (directory_.has(component)) add_expert(component);
  }
  if (experts_.size() == 2) check_experts(options_, experts_[0].files, experts_[1].files);
  check_configs();
  check_text_quantization(options_.text_quantization);
  check_experts_fit();
  check_keys(make_text_encoder(), text_files_);
  check_keys(models::WanVae(vae_config_), vae_files_);
}

void Engine::add_expert(const std::string& component) {
  const auto weights = options_.weights_paths.find(component);
  const std::string config = directory_.config_path(component).string();
  const std::filesystem::path path =
      weights == options_.weights_paths.end() ? directory_.path(component) : weights->second;
  checkpoint::TransformerCheckpoint files = checkpoint::open_transformer_checkpoint(path);
  auto resolved = quantization::resolve_quantization(options_.quantization, files.quantization);
  const std::string order = checkpoint::scale_order_warning(files);
  const nlohmann::json sizes = directory_.transformer_config(component);
  config_texts_[component] = sizes.dump();
  Expert expert{
      .name = component,
      .weights = path,
      .config = models::WanTransformerConfig::from_json(sizes, config),
      .declared_origin = files.quantization.origin,
      .quantization = options_.wrap_quantization
                          ? options_.wrap_quantization(component, std::move(resolved.config))
                          : std::move(resolved.config),
      .notices = std::move(resolved.notices),
      .files = std::move(files.checkpoint)};
  if (!order.empty()) expert.notices.push_back(order);
  expert.notices.insert(expert.notices.end(), expert.files.notices().begin(),
                        expert.files.notices().end());
  if (!experts_.empty() && config == directory_.config_path(experts_[0].name).string()) {
    expert.notices.push_back(component + ": config.json is not there; uses " + config);
  }
  experts_.push_back(std::move(expert));
}

// The components must fit together; a wrong pair would otherwise fail late or, worse, run.
void Engine::check_configs() const {
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds) throw Error(Code::kCorruptFile, options_.model_directory.string() + ": " + what);
  };
  const models::WanTransformerConfig& t = experts_[0].config;
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
  if (experts_.size() < 2) return;
  const models::WanTransformerConfig& t2 = experts_[1].config;
  require(t2.in_channels == t.in_channels && t2.out_channels == t.out_channels &&
              t2.text_dim == t.text_dim && t2.patch_size == t.patch_size,
          "transformer and transformer_2 differ in channels, text_dim or patch_size");
}

// Every layer must fit the scheme, every glob must mean some layer, and every tensor must be there.
void Engine::check_experts_fit() const {
  std::vector<std::string> names;
  std::vector<std::unique_ptr<models::WanTransformer>> experts;
  for (const Expert& expert : experts_) {
    models::WanTransformer& model = *experts.emplace_back(
        std::make_unique<models::WanTransformer>(expert.config, *expert.quantization));
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
  for (size_t i = 0; i < experts.size(); ++i) {
    checkpoint::ParameterLoader loader;
    experts_[i].quantization->declare_companions(loader);
    check_keys(*experts[i], experts_[i].files, std::move(loader));
  }
}

// Rotary positions end at rope_max_seq_len patches along each axis.
void Engine::check_positions(const ResolvedRequest& request) const {
  const models::WanTransformerConfig& t = experts_[0].config;
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

int64_t Engine::pixel_multiple() const {
  return vae_config_.scale_factor_spatial * experts_[0].config.patch_size[1];
}

ResolvedRequest Engine::resolve(const GenerateRequest& request) const {
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
  resolved.cleaned_prompt = clean_text("prompt", resolved.prompt);
  resolved.cleaned_negative_prompt = clean_text("negative_prompt", resolved.negative_prompt);
  return resolved;
}

Shape Engine::latent_shape(const ResolvedRequest& request) const {
  return {vae_config_.z_dim, (request.num_frames - 1) / vae_config_.scale_factor_temporal + 1,
          request.height / vae_config_.scale_factor_spatial,
          request.width / vae_config_.scale_factor_spatial};
}

kernels::Context Engine::make_context() const {
  return kernels::Context(options_.policy, *options_.device);
}

models::Umt5Encoder Engine::make_text_encoder() const {
  return {text_config_,
          *quantization::make_quantization_config({.scheme = options_.text_quantization,
                                                   .ignored_layers = {},
                                                   .mx = options_.quantization.mx})};
}

UniPcScheduler Engine::make_solver(const GenerateRequest& asked,
                                   const ResolvedRequest& request) const {
  return {scheduler_config_,
          {.steps = request.num_inference_steps,
           .grid = asked.sigma_grid,
           .flow_shift = request.flow_shift}};
}

int Engine::expert_of(const ResolvedRequest& request, int64_t timestep) const {
  const double boundary =
      request.boundary_ratio * static_cast<double>(scheduler_config_.num_train_timesteps);
  return experts_.size() == 2 && static_cast<double>(timestep) < boundary ? 1 : 0;
}

// Also says what, of all that was asked for, these steps leave without effect.
void Engine::count_expert_steps(const GenerateRequest& request, ResolvedRequest& resolved) const {
  const UniPcScheduler scheduler = make_solver(request, resolved);
  for (const int64_t timestep : scheduler.timesteps()) {
    ++resolved.expert_steps[static_cast<size_t>(expert_of(resolved, timestep))];
  }
  for (size_t i = 0; i < experts_.size(); ++i) {
    if (resolved.expert_steps[i] > 0) continue;
    std::ostringstream line;
    line << experts_[i].name
         << (i == 0 ? ", the expert for high noise," : ", the expert for low noise,")
         << " takes none of the " << count_of(scheduler.steps(), "step") << ": no timestep is "
         << (i == 0 ? "at or above " : "below ") << "the boundary "
         << resolved.boundary_ratio * static_cast<double>(scheduler_config_.num_train_timesteps)
         << "; it is not loaded, and its guidance scale means nothing";
    resolved.notices.push_back(line.str());
  }
  if (request.negative_prompt && !request.negative_prompt->empty() && !resolved.use_guidance()) {
    resolved.notices.emplace_back(
        "the negative prompt changes nothing: no step has a guidance scale above 1");
  }
}

}  // namespace mxvideo::pipeline
