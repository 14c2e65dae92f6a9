#include "convert/quantization/quantize.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text/field.h"
#include "base/text/glob.h"
#include "base/text/nearest_name.h"
#include "base/text/quote.h"
#include "convert/run_files.h"
#include "convert/target_layout.h"
#include "quantization/quantization_config.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using checkpoint::ModelSlimDescription;
using checkpoint::StoredTensor;
using checkpoint::TensorSpec;

// Canonical names of the layers of one expert that are quantized.
std::set<std::string> layers_to_quantize(const TransformerSource& source,
                                         const QuantizeOptions& options) {
  const std::string name(formats::mx_format_name(options.mx.element));
  const auto scheme = quantization::make_quantization_config(
      {.scheme = name, .ignored_layers = options.ignored_layers, .mx = options.mx});
  const models::WanTransformer model(source.config.sizes, *scheme);
  std::set<std::string> layers;
  for (const quantization::LinearMethod* linear : model.linears()) {
    if (linear->scheme() == name) layers.insert(linear->name());
  }
  return layers;
}

void check_globs(const ModelSource& model, const std::vector<std::string>& globs) {
  if (globs.empty()) return;
  std::vector<std::string> layers, unused;
  const auto scheme = quantization::make_quantization_config({});
  for (const TransformerSource& source : model.experts) {
    const models::WanTransformer transformer(source.config.sizes, *scheme);
    for (const quantization::LinearMethod* linear : transformer.linears()) {
      layers.push_back(linear->name());
    }
  }
  for (const std::string& glob : globs) {
    const bool used = std::ranges::any_of(
        layers, [&](const std::string& layer) { return glob_match(glob, layer); });
    if (used) continue;
    unused.push_back("'" + printable(glob) + "' (the nearest is " + nearest_to_glob(glob, layers) +
                     ")");
  }
  if (unused.empty()) return;
  throw Error(Code::kInvalidArgument,
              field("quantization_ignored_layers") + ": no layer matches " + name_list(unused));
}

void refuse_quantized(const ModelSource& model) {
  for (const TransformerSource& source : model.experts) {
    if (!source.quantized()) continue;
    throw Error(Code::kInvalidArgument,
                source.opened.checkpoint.description() + ": is quantized already (" +
                    source.opened.quantization.origin +
                    "); mxvideo repack brings a quantized model into another layout");
  }
}

class ComponentPlanner {
 public:
  ComponentPlanner(const TransformerSource& source, const QuantizeOptions& options,
                   checkpoint::WanVariant variant)
      : source_(source),
        options_(options),
        layout_(options.output.layout),
        type_(checkpoint::modelslim_type(options.mx.element)),
        layers_(layers_to_quantize(source, options)),
        files_(target_files(layout_, variant, source.component,
                            layers_.empty() ? std::nullopt : std::optional(options.mx.element))) {}

  ComponentPlan plan(checkpoint::WanVariant variant, const TransformerConfig* original) {
    ComponentPlan plan{.component = source_.component,
                       .folder = files_.folder,
                       .stem = files_.stem,
                       .one_file = files_.one_file,
                       .mx = options_.mx,
                       .metadata = source_.opened.checkpoint.metadata(),
                       .layers = {},
                       .texts = {}};
    plan.metadata.emplace("format", "pt");
    const std::string wan_config = wan_config_to_keep(source_, variant);
    plan.metadata.erase(kWanConfigMetadataKey);
    if (layout_ != Layout::kModelSlim && !wan_config.empty()) {
      plan.metadata[kWanConfigMetadataKey] = wan_config;
    }
    description_.other["model_quant_type"] = type_;
    for (const auto& [name, tensor] : source_.tensors()) add(name, tensor, plan);
    if (!files_.description.empty()) {
      plan.texts[files_.description] =
          modelslim_description_text(target_description(layout_, description_));
    }
    if (files_.config) {
      plan.texts["config.json"] = target_config_text(layout_, variant, source_, original);
    }
    return plan;
  }

 private:
  void add(const std::string& name, const StoredTensor& tensor, ComponentPlan& plan) {
    const std::string layer = layer_of(name);
    if (plan.layers.empty() || plan.layers.back().name != layer) {
      plan.layers.push_back({.name = layer, .tasks = {}});
    }
    std::vector<TensorTask>& tasks = plan.layers.back().tasks;
    if (layers_.count(layer) == 0) {
      tasks.push_back(CopiedTensor{.target = spec(name, tensor.view.dtype, tensor.view.shape),
                                   .source = tensor});
      description_.types[name] = checkpoint::kModelSlimFloat;
    } else if (name.ends_with(".weight")) {
      add_quantized(layer, name, tensor, tasks);
    } else {
      // The bias of a quantized layer is F32, as msmodelslim writes it.
      tasks.push_back(
          WidenedTensor{.target = spec(name, DType::kF32, tensor.view.shape), .source = tensor});
      description_.types[name] = checkpoint::kModelSlimFloat;
    }
  }

  void add_quantized(const std::string& layer, const std::string& name, const StoredTensor& tensor,
                     std::vector<TensorTask>& tasks) {
    const formats::ScaleGrid grid{.rows = tensor.view.shape[0],
                                  .columns = tensor.view.shape[1] / formats::kMxBlockSize};
    const std::string scales = name + "_scale";
    tasks.push_back(QuantizedTensor{
        .layer = layer,
        .weight = spec(name, checkpoint::stored_dtype(options_.mx.element), tensor.view.shape),
        .scales = spec(scales, DType::kU8, target_scale_shape(layout_, grid)),
        .source = tensor,
        .to = target_scale_layout(layout_)});
    description_.types[name] = type_;
    description_.types[scales] = type_;
    if (layout_ == Layout::kComfy) tasks.push_back(comfy_marker(target_name(layout_, layer)));
  }

  TensorSpec spec(const std::string& name, DType dtype, const Shape& shape) const {
    return {.name = target_name(layout_, name), .dtype = dtype, .shape = shape};
  }

  const TransformerSource& source_;
  const QuantizeOptions& options_;
  Layout layout_;
  std::string_view type_;  // in the words of the description
  std::set<std::string> layers_;
  TargetFiles files_;
  ModelSlimDescription description_;  // canonical
};

std::string job_options(const QuantizeOptions& options) {
  std::string text(formats::mx_format_name(options.mx.element));
  text += " " + std::string(formats::scale_rule_name(options.mx.scale_rule));
  text += options.mx.rounding == formats::ElementRounding::kNearestEven ? " even" : " half-away";
  text += options.mx.flush_tiny_blocks ? " flush" : "";
  for (const std::string& glob : options.ignored_layers) text += " !" + glob;
  return text;
}

Json describe_options(const QuantizeOptions& options) {
  const bool even = options.mx.rounding == formats::ElementRounding::kNearestEven;
  return {{"format", formats::mx_format_name(options.mx.element)},
          {"mx_scale_rule", formats::scale_rule_name(options.mx.scale_rule)},
          {"rounding", even ? "even" : "half-away"},
          {"ignored_layers", options.ignored_layers}};
}

// Everything of a Diffusers model but its transformers.
fs::path rest_root(const QuantizeOptions& options, const ModelSource& model,
                   const std::optional<ModelSource>& original) {
  if (options.output.layout != Layout::kDiffusers) return {};
  if (original && !original->diffusers_root.empty()) return original->diffusers_root;
  if (!model.diffusers_root.empty()) return model.diffusers_root;
  throw Error(Code::kInvalidArgument,
              field("layout") +
                  " diffusers writes a whole model, and the source holds the transformers "
                  "only; name a Diffusers directory with " +
                  field("original_model_path"));
}

Json result_json(const QuantizeOptions& options, const ConversionResult& result) {
  Json json = result.summary;
  json["options"] = describe_options(options);
  for (Json& component : json["components"]) {
    const auto found = result.reports.find(component["component"].get<std::string>());
    if (found == result.reports.end()) continue;
    component["total"] = total_json(found->second);
    component["layers"] = Json::array();
    for (const LayerReport& layer : found->second) component["layers"].push_back(to_json(layer));
  }
  return json;
}

// Of all components, each layer under its component's name.
std::vector<LayerReport> all_reports(const ConversionResult& result) {
  std::vector<LayerReport> all;
  for (const auto& [component, layers] : result.reports) {
    for (LayerReport layer : layers) {
      layer.layer = component + "." + layer.layer;
      all.push_back(std::move(layer));
    }
  }
  return all;
}

// Checks every expert and adds what becomes of it to the plan.
void plan_experts(const QuantizeOptions& options, const ModelSource& model,
                  const std::optional<ModelSource>& original, ConversionPlan& plan) {
  for (const TransformerSource& source : model.experts) {
    const TransformerSource* other = original ? original->expert(source.component) : nullptr;
    const TransformerConfig* config = other != nullptr ? &other->config : nullptr;
    ComponentPlanner planner(source, options, model.variant);
    check_transformer_tensors(source, config != nullptr ? config->sizes : source.config.sizes);
    plan.components.push_back(planner.plan(model.variant, config));
    plan.inputs.push_back(source.weights);
  }
}

}  // namespace

nlohmann::ordered_json quantize_model(const QuantizeOptions& options, const ConvertHooks& hooks) {
  const std::string refusal = refuse_element(options.output.layout, options.mx.element);
  if (!refusal.empty()) {
    throw Error(
        Code::kInvalidArgument,
        field("layout") + " " + std::string(layout_name(options.output.layout)) + ": " + refusal);
  }
  const ModelSource model = open_model_source(options.model, options.model_type);
  for (const std::string& notice : model.notices()) hooks.note(notice);
  refuse_quantized(model);
  check_globs(model, options.ignored_layers);
  std::optional<ModelSource> original;
  if (!options.original.empty()) {
    original = open_model_source(original_inputs(options.original), model.variant);
    check_expert_order(model, *original);
  }
  const fs::path rest = rest_root(options, model, original);
  note_run_problems(rest, hooks);

  ConversionPlan plan{.command = "quantize",
                      .variant = model.variant,
                      .components = {},
                      .rest = rest_of_model(rest),
                      .inputs = {},
                      .options = job_options(options)};
  plan_experts(options, model, original, plan);
  if (!rest.empty()) plan.inputs.push_back(rest);
  Json json;
  const auto accept = [&](const ConversionResult& result) {
    for (const TransformerSource& source : model.experts) {
      source.opened.checkpoint.check_unchanged();
    }
    json = result_json(options, result);
    if (hooks.report) hooks.report(json);
    if (options.min_sqnr_db) check_min_sqnr(all_reports(result), *options.min_sqnr_db);
  };
  const ConversionResult result =
      run_conversion(plan, options.output, {.general = hooks, .accept = accept, .verify = {}});
  return options.output.dry_run ? result_json(options, result) : json;
}

std::string quantize_report_table(const nlohmann::ordered_json& result) {
  std::string text;
  for (const Json& component : result["components"]) {
    std::vector<LayerReport> reports;
    if (component.contains("layers")) {
      for (const Json& layer : component["layers"]) {
        reports.push_back(layer_report_from_json(layer, "the report"));
      }
    }
    text += component["component"].get<std::string>() + "\n" + report_table(reports);
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace mxvideo::convert
