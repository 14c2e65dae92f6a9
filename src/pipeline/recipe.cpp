#include "pipeline/recipe.h"

#include "base/parallel.h"
#include "base/system/cpu_features.h"
#include "base/version.h"

namespace mxvideo::pipeline {
namespace {

using Json = nlohmann::ordered_json;

Json quantization_json(const WanPipeline& model) {
  const quantization::QuantizationOptions& options = model.options().quantization;
  Json json = {{"scheme", model.experts().front().quantization->name()}};
  if (json["scheme"] == "none") return json;
  json["mx_scale_rule"] = formats::scale_rule_name(options.mx.scale_rule);
  json["ignored_layers"] = options.ignored_layers;
  return json;
}

Json image_json(const std::optional<media::RgbImage>& image, const std::string& sha256) {
  if (!image) return nullptr;
  Json json = {{"width", image->size.width}, {"height", image->size.height}};
  if (!sha256.empty()) json["sha256"] = sha256;
  return json;
}

}  // namespace

Json recipe_json(const WanPipeline& model, const GenerateRequest& asked,
                 const ResolvedRequest& request) {
  const PipelineOptions& options = model.options();
  Json json;
  json["engine"] = "mxvideo";
  json["version"] = version();
  json["model_path"] = options.model_directory.string();
  for (const auto& [component, path] : options.component_paths) {
    json[component + "_path"] = path.string();
  }
  for (const auto& [component, path] : options.weights_paths) {
    json[component + "_weights_path"] = path.string();
  }
  json["model"] = "Wan2.2-" + std::string(checkpoint::variant_name(model.variant()));
  json["defaults_of_model"] = model.defaults().from_model;
  json["quantization"] = quantization_json(model);
  if (options.text_quantization != "none") {
    json["text_encoder_quantization"] = {
        {"scheme", options.text_quantization},
        {"mx_scale_rule", formats::scale_rule_name(options.quantization.mx.scale_rule)}};
  }
  json["compute"] = kernels::compute_name(options.compute);
  json["attention"] = kernels::attention_products_name(options.attention);
  json["prompt"] = request.prompt;
  // What no step uses is null.
  json["negative_prompt"] = request.use_guidance() ? Json(request.negative_prompt) : Json(nullptr);
  json["seed"] = asked.initial_noise ? Json(nullptr) : Json(request.seed);
  json["initial_noise"] = asked.initial_noise ? "given" : "torch_cpu_generator";
  json["width"] = request.width;
  json["height"] = request.height;
  json["num_frames"] = request.num_frames;
  json["fps"] = request.fps;
  json["num_inference_steps"] = request.num_inference_steps;
  const bool two_experts = model.experts().size() == 2;
  const auto scale_of = [&](int expert) {
    const bool used = request.expert_steps[static_cast<size_t>(two_experts ? expert : 0)] > 0;
    return used ? Json(request.guidance_of(expert)) : Json(nullptr);
  };
  json["guidance_scale"] = scale_of(0);
  json["guidance_scale_2"] = scale_of(1);
  for (size_t i = 0; i < model.experts().size(); ++i) {
    json["expert_steps"][model.experts()[i].name] = request.expert_steps[i];
  }
  json["boundary_ratio"] = request.boundary_ratio;
  json["flow_shift"] = request.flow_shift;
  json["sigma_grid"] = sigma_grid_name(asked.sigma_grid);
  json["vae_tiling"] = request.vae_tiling;
  json["image"] = image_json(asked.image, asked.image_sha256);
  json["last_image"] = image_json(asked.last_image, asked.last_image_sha256);
  if (asked.image) json["image_fit"] = image_fit_name(request.image_fit);
  return json;
}

Json report_json(const WanPipeline& model, const GenerateRequest& asked,
                 const GenerateResult& result) {
  Json json = recipe_json(model, asked, result.request);
  json["cpu"] = cpu_model_name();
  json["cpu_features"] = cpu_features_to_string(cpu_features());
  json["threads"] = num_threads();
  json.update(result.report.to_json());
  return json;
}

}  // namespace mxvideo::pipeline
