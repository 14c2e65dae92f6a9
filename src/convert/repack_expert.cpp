#include "convert/repack_expert.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/text/field.h"
#include "base/text/format.h"
#include "base/text/quote.h"
#include "checkpoint/comfy_quant.h"
#include "convert/target_layout.h"

namespace mxvideo::convert {
namespace {

using checkpoint::ModelSlimDescription;
using checkpoint::ParameterSpec;
using checkpoint::QuantizationDeclaration;
using checkpoint::StoredTensor;
using formats::ScaleGrid;
using formats::ScaleLayout;

constexpr std::string_view kScaleSuffix = ".weight_scale";

bool same_bytes(const TensorView& a, const TensorView& b) {
  return a.bytes() == b.bytes() &&
         (a.bytes() == 0 || std::memcmp(a.data, b.data, static_cast<size_t>(a.bytes())) == 0);
}

bool is_mx_layer(const TransformerSource& source, const std::string& layer) {
  const auto& layers = source.opened.quantization.layers;
  const auto found = layers.find(layer);
  return found != layers.end() && found->second.element.has_value();
}

std::set<std::string> weight_only_layers(const TransformerSource& source) {
  std::set<std::string> layers;
  for (const auto& [name, layer] : source.opened.quantization.layers) {
    if (!layer.weight_only.empty()) layers.insert(name);
  }
  return layers;
}

// Weight and scales of a quantized layer: they have no float form that could stand in for them.
bool is_quantized_part(const TransformerSource& source, const std::string& name) {
  return is_mx_layer(source, layer_of(name)) && !name.ends_with(".bias");
}

// Float tensors that the export omits.
std::vector<ParameterSpec> missing_float_tensors(const TransformerSource& source,
                                                 const models::WanTransformerConfig& config) {
  std::vector<ParameterSpec> missing;
  for (ParameterSpec& spec : expected_tensors(source, config)) {
    if (source.tensors().count(spec.name) > 0 || is_quantized_part(source, spec.name)) continue;
    missing.push_back(std::move(spec));
  }
  return missing;
}

// Adds what the export omits and the original has; the key-set check reports the rest.
void overlay(RepackExpert& expert) {
  if (expert.original == nullptr || !expert.source->quantized()) return;
  const TransformerSource& original = *expert.original;
  for (const ParameterSpec& spec : missing_float_tensors(*expert.source, expert.config().sizes)) {
    const auto found = original.tensors().find(spec.name);
    if (found == original.tensors().end()) continue;
    const TensorView& view = found->second.view;
    const bool is_float =
        view.dtype == DType::kF32 || view.dtype == DType::kF16 || view.dtype == DType::kBF16;
    if (!is_float || !(view.shape == spec.shape)) {
      throw Error(Code::kCorruptFile, original.opened.checkpoint.description() + ": tensor " +
                                          spec.name + ", which the export omits: expected float " +
                                          spec.shape.to_string() + ", got " +
                                          std::string(dtype_name(view.dtype)) + " " +
                                          view.shape.to_string());
    }
    expert.tensors.emplace(spec.name, found->second);
    expert.overlaid.push_back(spec.name);
  }
}

void check_config(const TransformerConfig& own, const TransformerConfig& original) {
  if (own.file.empty() || !own.heads_known || !original.heads_known) return;
  if (own.sizes.num_heads == original.sizes.num_heads) return;
  throw Error(Code::kCorruptFile, own.origin + ": " + std::to_string(own.sizes.num_heads) +
                                      " heads; expected those of " + original.origin + ", " +
                                      std::to_string(original.sizes.num_heads));
}

// Entries that name tensors, as against modules and policies.
bool names_tensor(const std::string& name) {
  for (const std::string_view suffix :
       {".weight", ".bias", ".weight_scale", ".scale_shift_table", ".to_q_rot", ".to_k_rot"}) {
    if (name.ends_with(suffix)) return true;
  }
  return name == "scale_shift_table";
}

void check_description(const RepackExpert& expert) {
  const QuantizationDeclaration& declaration = expert.source->opened.quantization;
  std::vector<std::string> absent;
  for (const auto& [name, type] : declaration.description.types) {
    if (names_tensor(name) && expert.tensors.count(name) == 0) absent.push_back(name);
  }
  if (absent.empty()) return;
  throw Error(Code::kCorruptFile,
              declaration.origin + ": " +
                  count_of(std::ssize(absent), "name is no tensor", "names are no tensors") +
                  " of " + expert.source->opened.checkpoint.description() + ": " +
                  name_list(absent));
}

// The description that the source came with, or one made of its layers; canonical.
ModelSlimDescription description_of(const RepackExpert& expert) {
  const checkpoint::TransformerCheckpoint& opened = expert.source->opened;
  const MxLayers layers = mx_layers(*expert.source);
  ModelSlimDescription description = opened.quantization.description;
  const auto metadata = opened.checkpoint.metadata();
  const auto kept = metadata.find(kDescriptionMetadataKey);
  if (description.types.empty() && kept != metadata.end()) {
    description = checkpoint::parse_modelslim_description(
        kept->second, opened.checkpoint.description() + ": metadata " + kDescriptionMetadataKey);
  }
  if (description.types.empty()) {
    description.other["model_quant_type"] =
        checkpoint::modelslim_type(dominant_element(layers).value_or(formats::MxElement::kE4m3));
  }
  for (const auto& [name, tensor] : expert.tensors) {
    const bool quantized = is_quantized_part(*expert.source, name);
    description.types.emplace(name, quantized
                                        ? checkpoint::modelslim_type(layers.at(layer_of(name)))
                                        : checkpoint::kModelSlimFloat);
  }
  return description;
}

class ExpertPlanner {
 public:
  ExpertPlanner(const RepackExpert& expert, Layout layout) : expert_(expert), layout_(layout) {}

  ComponentPlan plan(checkpoint::WanVariant variant) const {
    const TransformerSource& source = *expert_.source;
    refuse_layers_of_no_format();
    std::optional<formats::MxElement> format;
    if (source.quantized()) {
      format = dominant_element(mx_layers(source)).value_or(formats::MxElement::kE4m3);
    }
    const TargetFiles files = target_files(layout_, variant, source.component, format);
    ComponentPlan plan{.component = source.component,
                       .folder = files.folder,
                       .stem = files.stem,
                       .one_file = files.one_file,
                       .mx = {},
                       .metadata = metadata(variant),
                       .layers = {},
                       .texts = {}};
    for (const auto& [name, tensor] : expert_.tensors) {
      const std::string layer = layer_of(name);
      if (plan.layers.empty() || plan.layers.back().name != layer) {
        plan.layers.push_back({.name = layer, .tasks = {}});
      }
      add(name, layer, tensor, plan.layers.back().tasks);
    }
    if (!files.description.empty()) {
      plan.texts[files.description] = checkpoint::modelslim_description_text(
          target_description(layout_, description_of(expert_)));
    }
    if (files.config) {
      plan.texts["config.json"] =
          target_config_text(layout_, variant, source,
                             expert_.original != nullptr ? &expert_.original->config : nullptr);
    }
    return plan;
  }

 private:
  bool is_weight_only(const std::string& layer) const {
    return !expert_.source->opened.quantization.layers.at(layer).weight_only.empty();
  }

  // Throws for layers that the layout cannot hold.
  void refuse_layers_of_no_format() const {
    std::vector<std::string> refused;
    std::string reason;
    for (const auto& [layer, element] : mx_layers(*expert_.source)) {
      std::string refusal = refuse_element(layout_, element);
      if (refusal.empty() && is_weight_only(layer)) refusal = refuse_weight_only(layout_);
      if (refusal.empty()) continue;
      refused.push_back(layer);
      reason = std::move(refusal);
    }
    if (refused.empty()) return;
    throw Error(Code::kUnsupported, expert_.source->opened.quantization.origin + ": " +
                                        count_of(std::ssize(refused), "layer") +
                                        " cannot go into " + field("layout") + " " +
                                        std::string(layout_name(layout_)) + ": " +
                                        name_list(refused, 5) + "; " + reason);
  }

  // The source's, without what speaks of its layout.
  std::map<std::string, std::string> metadata(checkpoint::WanVariant variant) const {
    std::map<std::string, std::string> metadata = expert_.source->opened.checkpoint.metadata();
    metadata.erase(std::string(checkpoint::kComfyMetadataKey));
    metadata.erase("quantization_config");
    metadata.erase(kDescriptionMetadataKey);
    metadata.erase(kWanConfigMetadataKey);
    const std::string wan_config = wan_config_to_keep(*expert_.source, variant);
    if (layout_ != Layout::kModelSlim && !wan_config.empty()) {
      metadata[kWanConfigMetadataKey] = wan_config;
    }
    if (layout_ == Layout::kComfy && expert_.source->quantized()) {
      metadata[kDescriptionMetadataKey] =
          checkpoint::modelslim_description_text(description_of(expert_));
    }
    return metadata;
  }

  void add(const std::string& name, const std::string& layer, const StoredTensor& tensor,
           std::vector<TensorTask>& tasks) const {
    const std::string target = target_name(layout_, name);
    if (!name.ends_with(kScaleSuffix) || !is_mx_layer(*expert_.source, layer)) {
      tasks.push_back(CopiedTensor{
          .target = {.name = target, .dtype = tensor.view.dtype, .shape = tensor.view.shape},
          .source = tensor});
      return;
    }
    const Shape& weight = expert_.tensors.find(layer + ".weight")->second.view.shape;
    const ScaleGrid grid{.rows = weight[0], .columns = weight[1] / formats::kMxBlockSize};
    tasks.push_back(RelaidScales{
        .target = {.name = target, .dtype = DType::kU8, .shape = target_scale_shape(layout_, grid)},
        .source = tensor,
        .grid = grid,
        .from = expert_.source->opened.quantization.scale_layout,
        .to = target_scale_layout(layout_)});
    if (layout_ == Layout::kComfy) {
      tasks.push_back(comfy_marker(target_name(layout_, layer), is_weight_only(layer)));
    }
  }

  const RepackExpert& expert_;
  Layout layout_;
};

// The scales of a written tensor in the order and type of `expected`.
bool same_scales(const TransformerSource& written, const std::string& name,
                 const RepackExpert& expert, const StoredTensor& expected) {
  const Shape& weight = expert.tensors.find(layer_of(name) + ".weight")->second.view.shape;
  const ScaleGrid grid{.rows = weight[0], .columns = weight[1] / formats::kMxBlockSize};
  const auto row_major = [&](const TensorView& view, ScaleLayout layout) {
    std::vector<uint8_t> scales(static_cast<size_t>(grid.rows * grid.columns));
    const auto* bytes = reinterpret_cast<const uint8_t*>(view.data);
    if (layout == ScaleLayout::kSwizzled) {
      formats::unswizzle_scales(grid, bytes, scales.data());
    } else {
      std::copy_n(bytes, scales.size(), scales.begin());
    }
    return scales;
  };
  return row_major(written.tensors().find(name)->second.view,
                   written.opened.quantization.scale_layout) ==
         row_major(expected.view, expert.source->opened.quantization.scale_layout);
}

std::string compare_tensor(const TransformerSource& written, const std::string& name,
                           const RepackExpert& expert, const StoredTensor& expected) {
  const auto found = written.tensors().find(name);
  if (found == written.tensors().end()) return name + " is missing";
  const bool scales = name.ends_with(kScaleSuffix) && is_mx_layer(*expert.source, layer_of(name));
  const TensorView& view = found->second.view;
  bool same = false;
  if (scales) {
    same = same_scales(written, name, expert, expected);
  } else {
    same = view.dtype == expected.view.dtype && view.shape == expected.view.shape &&
           same_bytes(view, expected.view);
  }
  found->second.release_pages();
  expected.release_pages();
  return same ? "" : name + " differs";
}

}  // namespace

RepackExpert prepare_expert(const TransformerSource& source, const TransformerSource* original) {
  RepackExpert expert{
      .source = &source, .original = original, .tensors = source.tensors(), .overlaid = {}};
  std::erase_if(expert.tensors, [](const auto& entry) {
    return entry.first.ends_with(checkpoint::kComfyQuantSuffix) ||
           entry.first.ends_with(checkpoint::kComfyWeightScalar);
  });
  if (original != nullptr) check_config(source.config, original->config);
  overlay(expert);
  check_transformer_tensors(source, expert.config().sizes,
                            {expert.overlaid.begin(), expert.overlaid.end()});
  check_description(expert);
  return expert;
}

ComponentPlan plan_expert(const RepackExpert& expert, Layout layout,
                          checkpoint::WanVariant variant) {
  return ExpertPlanner(expert, layout).plan(variant);
}

void verify_expert(const RepackExpert& expert, const std::filesystem::path& weights) {
  const TransformerSource written = open_transformer_source(expert.source->component, weights);
  std::vector<std::string> problems;
  for (const auto& [name, tensor] : expert.tensors) {
    std::string problem = compare_tensor(written, name, expert, tensor);
    if (!problem.empty()) problems.push_back(std::move(problem));
  }
  for (const auto& [name, tensor] : written.tensors()) {
    const bool marker = name.ends_with(checkpoint::kComfyQuantSuffix);
    if (!marker && expert.tensors.count(name) == 0) problems.push_back(name + " is new");
  }
  if (mx_layers(written) != mx_layers(*expert.source)) {
    problems.push_back("the quantized layers differ");
  }
  if (weight_only_layers(written) != weight_only_layers(*expert.source)) {
    problems.push_back("the layers whose activations are not quantized differ");
  }
  const ModelSlimDescription& description = written.opened.quantization.description;
  if (!description.types.empty() && description.types != description_of(expert).types) {
    problems.push_back("the description differs");
  }
  if (problems.empty()) return;
  throw Error(Code::kMismatch, written.opened.checkpoint.description() +
                                   ": differs from what was repacked: " + name_list(problems));
}

}  // namespace mxvideo::convert
