#include "convert/repack.h"

#include <utility>

#include "base/error.h"
#include "base/text/field.h"
#include "convert/repack_expert.h"
#include "convert/run_files.h"
#include "formats/mx_block.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

fs::path rest_root(const RepackOptions& options, const ModelSource& quant,
                   const std::optional<ModelSource>& original) {
  if (options.output.layout != Layout::kDiffusers) return {};
  if (original && !original->diffusers_root.empty()) return original->diffusers_root;
  if (!quant.diffusers_root.empty()) return quant.diffusers_root;
  throw Error(Code::kInvalidArgument, field("layout") + " diffusers writes a whole model, and " +
                                          field("quant_path") +
                                          " holds the transformers "
                                          "only; name a Diffusers directory with " +
                                          field("original_model_path"));
}

const RepackExpert& expert_of(const std::vector<RepackExpert>& experts,
                              const std::string& component) {
  for (const RepackExpert& expert : experts) {
    if (expert.source->component == component) return expert;
  }
  throw Error(Code::kInternal, "no expert " + component);
}

void check_unchanged(const std::vector<RepackExpert>& experts) {
  for (const RepackExpert& expert : experts) {
    expert.source->opened.checkpoint.check_unchanged();
    if (!expert.overlaid.empty()) expert.original->opened.checkpoint.check_unchanged();
  }
}

// One quantized expert beside a float one is legitimate, and easily a mistake.
void note_mixture(const ModelSource& quant, const ConvertHooks& hooks) {
  for (const TransformerSource& source : quant.experts) {
    if (source.quantized() || !quant.quantized()) continue;
    hooks.note(source.opened.checkpoint.description() +
               ": is not quantized, unlike the other expert");
  }
}

// No layout of ours can say by which rule activations get their scales.
void note_lost_rule(const ModelSource& quant, const ConvertHooks& hooks) {
  constexpr formats::ScaleRule kDefault = formats::MxOptions{}.scale_rule;
  for (const TransformerSource& source : quant.experts) {
    for (const auto& [name, layer] : source.opened.quantization.layers) {
      if (!layer.activation_rule || layer.activation_rule->rule == kDefault) continue;
      const std::string rule(formats::scale_rule_name(layer.activation_rule->rule));
      return hooks.note(
          "the files that are written do not say that activations get their scales "
          "by the rule " +
          rule + "; run them with " + field("mx_scale_rule") + " " + rule);
    }
  }
}

}  // namespace

nlohmann::ordered_json repack_model(const RepackOptions& options, const ConvertHooks& hooks) {
  const ModelSource quant = open_model_source(options.quant, options.model_type);
  note_mixture(quant, hooks);
  for (const std::string& notice : quant.notices()) hooks.note(notice);
  note_lost_rule(quant, hooks);
  std::optional<ModelSource> original;
  if (!options.original.empty()) {
    original = open_model_source(original_inputs(options.original), quant.variant);
  }
  const fs::path rest = rest_root(options, quant, original);
  note_run_problems(rest, hooks);

  std::vector<RepackExpert> experts;
  for (const TransformerSource& source : quant.experts) {
    const TransformerSource* other = original ? original->expert(source.component) : nullptr;
    experts.push_back(prepare_expert(source, other));
  }
  if (original) check_expert_order(quant, *original);

  ConversionPlan plan{.command = "repack",
                      .variant = quant.variant,
                      .components = {},
                      .rest = rest_of_model(rest),
                      .inputs = {},
                      .options = ""};
  for (const RepackExpert& expert : experts) {
    plan.components.push_back(plan_expert(expert, options.output.layout, quant.variant));
    plan.inputs.push_back(expert.source->weights);
    if (expert.original != nullptr) plan.inputs.push_back(expert.original->weights);
  }
  if (!rest.empty()) plan.inputs.push_back(rest);

  ConversionHooks conversion_hooks{.general = hooks, .accept = {}, .verify = {}};
  conversion_hooks.accept = [&](const auto&) { check_unchanged(experts); };
  if (options.verify) {
    conversion_hooks.verify = [&](const ComponentPlan& component, const fs::path& weights) {
      hooks.note("comparing " + component.component + " with its source");
      verify_expert(expert_of(experts, component.component), weights);
    };
  }
  Json json = run_conversion(plan, options.output, conversion_hooks).summary;
  json["verified"] = options.verify && !options.output.dry_run;
  for (Json& component : json["components"]) {
    component["overlaid"] = expert_of(experts, component["component"].get<std::string>()).overlaid;
  }
  return json;
}

}  // namespace mxvideo::convert
