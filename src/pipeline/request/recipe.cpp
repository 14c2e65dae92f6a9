#include "pipeline/request/recipe.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/parallel.h"
#include "base/system/cpu_features.h"
#include "base/text/field.h"
#include "base/text/quote.h"
#include "base/version.h"
#include "pipeline/request/request_fields.h"

namespace mxvideo::pipeline {
namespace {

using Json = nlohmann::ordered_json;
using Pointer = Json::json_pointer;

// What a recipe says beside fields: of the model, and of what files held.
constexpr std::array kFacts = {"/engine",        "/version",      "/model", "/defaults_of_model",
                               "/initial_noise", "/expert_steps", "/image", "/last_image"};
// The text encoder's scale rule is that of the transformers.
constexpr std::string_view kTextScaleRule = "/text_encoder_quantization/mx_scale_rule";

Json image_json(const std::optional<media::RgbImage>& image, const std::string& sha256) {
  if (!image) return nullptr;
  Json json = {{"width", image->size.width}, {"height", image->size.height}};
  if (!sha256.empty()) json["sha256"] = sha256;
  return json;
}

std::string path_of(const auto& paths, const char* component) {
  const auto found = paths.find(component);
  return found == paths.end() ? std::string() : found->second.string();
}

// The form that states all that was decided. What no step uses is not stated.
RequestForm decided_form(const Engine& model, const GenerateRequest& asked,
                         const ResolvedRequest& request) {
  const PipelineOptions& options = model.options();
  RequestForm form;
  static_cast<GenerationParameters&>(form) = asked;
  form.model_path = options.model_directory.string();
  form.transformer_path = path_of(options.component_paths, "transformer");
  form.transformer_2_path = path_of(options.component_paths, "transformer_2");
  form.transformer_weights_path = path_of(options.weights_paths, "transformer");
  form.transformer_2_weights_path = path_of(options.weights_paths, "transformer_2");
  form.quantization = options.quantization;
  form.quantization.scheme = model.experts().front().quantization->name();
  form.text_quantization = options.text_quantization;
  form.policy = options.policy;
  form.prompt = request.prompt;
  form.negative_prompt.reset();
  if (request.use_guidance()) form.negative_prompt = request.negative_prompt;
  form.seed.reset();
  if (!asked.initial_noise) form.seed = request.seed;
  form.image_fit.reset();
  if (asked.image) form.image_fit = request.image_fit;
  form.width = request.width;
  form.height = request.height;
  form.num_frames = request.num_frames;
  form.fps = request.fps;
  form.num_inference_steps = request.num_inference_steps;
  const bool two_experts = model.experts().size() == 2;
  const auto scale_of = [&](int expert) -> std::optional<double> {
    const bool used = request.expert_steps[static_cast<size_t>(two_experts ? expert : 0)] > 0;
    return used ? std::optional(request.guidance_of(expert)) : std::nullopt;
  };
  form.guidance_scale = scale_of(0);
  form.guidance_scale_2 = scale_of(1);
  form.boundary_ratio = request.boundary_ratio;
  form.flow_shift = request.flow_shift;
  form.vae_tiling = request.vae_tiling ? VaeTilingMode::kOn : VaeTilingMode::kOff;
  return form;
}

// Fields whose value has no part in this run are left out, or null where a reader expects them.
Json fields_json(const RequestForm& form) {
  Json json;
  for (const RequestField& field : request_fields()) {
    if (field.recipe.empty()) continue;
    Json value = field_json(field, form);
    const bool optional = !std::holds_alternative<std::string RequestForm::*>(field.value) &&
                          !std::holds_alternative<ChoiceField>(field.value);
    if (value.is_null() ? optional : !(field.name == "kernel" && value.empty())) {
      json[Pointer(field.recipe)] = std::move(value);
    }
  }
  json["vae_tiling"] = form.vae_tiling == VaeTilingMode::kOn;
  if (!quantization::quantizes(form.quantization.scheme)) {
    json["quantization"] = {{"scheme", form.quantization.scheme}};
  }
  if (quantization::quantizes(form.text_quantization)) {
    json[Pointer(std::string(kTextScaleRule))] =
        formats::scale_rule_name(form.quantization.mx.scale_rule);
  } else {
    json.erase("text_encoder_quantization");
  }
  return json;
}

// `value` stands at `pointer` of a recipe.
void read_value(const std::string& pointer, const Json& value, RequestForm& form) {
  const auto fields = request_fields();
  const std::string known = pointer == kTextScaleRule ? "/quantization/mx_scale_rule" : pointer;
  const auto row = std::ranges::find(fields, known, &RequestField::recipe);
  if (pointer.empty() || row == fields.end()) {
    if (std::ranges::find(kFacts, pointer) != kFacts.end()) return;
    if (!value.is_object()) {
      throw Error(Code::kInvalidArgument, "recipe: unknown key " + printable(pointer));
    }
    for (const auto& [key, inner] : value.items()) read_value(pointer + "/" + key, inner, form);
    return;
  }
  if (value.is_boolean() && row->name == "vae_tiling") {
    return set_field(*row, value.get<bool>() ? "on" : "off", form);
  }
  // Where the files decided the scheme, the model's are to do so again.
  const bool declared = row->name == "quantization" && (value == "config.json" || value == "comfy");
  if (!declared) set_field(*row, value, form);
}

}  // namespace

Json recipe_json(const Engine& model, const GenerateRequest& asked,
                 const ResolvedRequest& request) {
  Json json = {{"engine", "mxvideo"}, {"version", version()}};
  json.update(fields_json(decided_form(model, asked, request)));
  json["model"] = "Wan2.2-" + std::string(checkpoint::variant_name(model.variant()));
  json["defaults_of_model"] = model.defaults().from_model;
  json["initial_noise"] = asked.initial_noise ? "given" : "torch_cpu_generator";
  for (size_t i = 0; i < model.experts().size(); ++i) {
    json["expert_steps"][model.experts()[i].name] = request.expert_steps[i];
  }
  json["image"] = image_json(asked.image, asked.image_sha256);
  json["last_image"] = image_json(asked.last_image, asked.last_image_sha256);
  return json;
}

RequestForm read_recipe(const Json& recipe) {
  RequestForm form;
  read_value("", recipe, form);
  return form;
}

Json report_json(const Run& run) {
  Json json = recipe_json(run.engine, run.asked, run.request);
  json["cpu"] = cpu_model_name();
  json["cpu_features"] = cpu_features_to_string(cpu_features());
  json["threads"] = num_threads();
  RunReport report = run.report;
  report.add_kernels(run.context);
  json.update(report.to_json());
  return json;
}

}  // namespace mxvideo::pipeline
