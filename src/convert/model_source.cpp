#include "convert/model_source.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text/field.h"
#include "base/text/json.h"
#include "base/text/quote.h"
#include "checkpoint/wan/expert_files.h"
#include "checkpoint/wan/model_family.h"
#include "convert/layout.h"
#include "quantization/quantization_config.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;
using checkpoint::WanVariant;

constexpr int64_t kTi2vChannels = 48;
constexpr int64_t kMaskChannels = 4;

// Where the experts lie, before any of them is opened.
struct Located {
  checkpoint::ExpertFiles experts;
  std::optional<checkpoint::ModelIndex> index;
  fs::path diffusers_root;
};

Located locate_pair(const ModelInputs& inputs) {
  if (inputs.high_noise.empty() || inputs.low_noise.empty()) {
    throw Error(Code::kInvalidArgument, field("high_noise_model") + " and " +
                                            field("low_noise_model") +
                                            " belong together; got only one of them");
  }
  if (!inputs.path.empty()) {
    throw Error(Code::kInvalidArgument, field(inputs.path_field) + " excludes " +
                                            field("high_noise_model") + " and " +
                                            field("low_noise_model"));
  }
  checkpoint::ExpertFiles experts;
  for (const auto& [component, given] :
       {std::pair(kHighNoiseExpert, inputs.high_noise), {kLowNoiseExpert, inputs.low_noise}}) {
    experts.emplace_back(component, checkpoint::find_expert(given, component));
    checkpoint::check_expert_path(component, given, experts.back().second);
  }
  return {.experts = std::move(experts), .index = std::nullopt, .diffusers_root = {}};
}

Located locate(const ModelInputs& inputs) {
  if (!inputs.high_noise.empty() || !inputs.low_noise.empty()) return locate_pair(inputs);
  const fs::path& root = inputs.path;
  if (root.empty()) {
    throw Error(Code::kInvalidArgument, field(inputs.path_field) + " or " +
                                            field("high_noise_model") + " and " +
                                            field("low_noise_model") + " is required");
  }
  Located located{.experts = checkpoint::find_experts(root), .index = {}, .diffusers_root = {}};
  if (fs::exists(root / "model_index.json")) {
    located.index = checkpoint::read_model_index(root / "model_index.json");
    located.diffusers_root = root;
  }
  return located;
}

// Another model is said to be one before anything is asked of its variant, experts or flags.
void refuse_other_model(const TransformerSource& source) {
  if (source.quantized()) return;  // an export may omit tensors that its original has
  const auto family = recognise_family(source.opened.checkpoint);
  if (family && !family->runs) check_transformer_tensors(source, source.config.sizes);
}

WanVariant variant_by_channels(const TransformerSource& source, size_t experts) {
  const int64_t in = source.config.sizes.in_channels;
  const int64_t out = source.config.sizes.out_channels;
  if (in == 2 * out + kMaskChannels) return WanVariant::kI2V;
  if (in == out) {
    return out == kTi2vChannels && experts == 1 ? WanVariant::kTI2V : WanVariant::kT2V;
  }
  throw Error(Code::kUnsupported, source.opened.checkpoint.description() + ": " +
                                      std::to_string(in) + " input and " + std::to_string(out) +
                                      " output channels fit no Wan2.2 model");
}

WanVariant variant_of(const TransformerSource& source, const Located& located) {
  const WanVariant by_channels = variant_by_channels(source, located.experts.size());
  if (located.index) {
    return checkpoint::detect_variant(*located.index, source.config.json, source.config.origin);
  }
  if (!source.config.of_wan_model) return by_channels;
  const nlohmann::json config = read_json_file(source.config.file);
  const std::string type = JsonFields(config, source.config.origin).string("model_type");
  const WanVariant declared = type == "i2v"    ? WanVariant::kI2V
                              : type == "ti2v" ? WanVariant::kTI2V
                                               : WanVariant::kT2V;
  const bool known = type == "t2v" || type == "i2v" || type == "ti2v";
  const bool stacked = by_channels == WanVariant::kI2V;
  if (!known || stacked != (declared == WanVariant::kI2V)) {
    throw Error(Code::kCorruptFile,
                source.config.origin + ": model_type '" + printable(type) + "' does not fit " +
                    std::to_string(source.config.sizes.in_channels) + " input channels");
  }
  return declared;
}

void check_variant(const ModelSource& model, const std::string& where,
                   std::optional<WanVariant> expected) {
  if (expected && *expected != model.variant) {
    throw Error(Code::kInvalidArgument,
                field("model_type") + " says " + std::string(model_type_name(*expected)) +
                    ", but " + where + " holds " + std::string(model_type_name(model.variant)));
  }
  const size_t needed = has_two_experts(model.variant) ? 2 : 1;
  if (model.experts.size() == needed) return;
  throw Error(Code::kNotFound, where + ": " + std::string(model_type_name(model.variant)) +
                                   " has " + std::to_string(needed) + " expert(s), got " +
                                   std::to_string(model.experts.size()) +
                                   (needed == 2 ? "; name both with " + field("high_noise_model") +
                                                      " and " + field("low_noise_model")
                                                : ""));
}

}  // namespace

void check_expert_order(const ModelSource& model, const ModelSource& original) {
  if (model.experts.size() != 2 || original.experts.size() != 2) return;
  for (size_t i = 0; i < 2; ++i) {
    checkpoint::check_expert_content(model.experts[i].component, model.experts[i].opened.checkpoint,
                                     original.experts[i].opened.checkpoint,
                                     original.experts[1 - i].opened.checkpoint);
  }
}

ModelInputs original_inputs(const fs::path& path) {
  return {.path = path, .high_noise = {}, .low_noise = {}, .path_field = "original_model_path"};
}

bool ModelSource::quantized() const {
  return std::any_of(experts.begin(), experts.end(),
                     [](const TransformerSource& expert) { return expert.quantized(); });
}

std::vector<std::string> ModelSource::notices() const {
  std::vector<std::string> lines;
  for (const TransformerSource& source : experts) {
    for (const auto* own :
         {&source.opened.checkpoint.notices(), &source.opened.quantization.notices}) {
      lines.insert(lines.end(), own->begin(), own->end());
    }
    for (std::string& line : quantization::activation_notices({}, source.opened.quantization)) {
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

const TransformerSource* ModelSource::expert(const std::string& component) const {
  for (const TransformerSource& source : experts) {
    if (source.component == component) return &source;
  }
  return nullptr;
}

ModelSource open_model_source(const ModelInputs& inputs, std::optional<WanVariant> expected) {
  const Located located = locate(inputs);
  ModelSource model;
  model.diffusers_root = located.diffusers_root;
  for (const auto& [component, weights] : located.experts) {
    TransformerSource source = open_transformer_source(component, weights);
    refuse_other_model(source);
    const WanVariant variant = variant_of(source, located);
    if (!model.experts.empty() && variant != model.variant) {
      throw Error(Code::kCorruptFile, weights.string() +
                                          ": expected the model of the other "
                                          "expert, " +
                                          std::string(model_type_name(model.variant)) + ", got " +
                                          std::string(model_type_name(variant)));
    }
    model.variant = variant;
    model.experts.push_back(std::move(source));
  }
  if (model.experts.size() == 2) {
    checkpoint::check_experts_differ(model.experts[0].opened.checkpoint,
                                     model.experts[1].opened.checkpoint);
  }
  const fs::path& where = inputs.path.empty() ? inputs.high_noise : inputs.path;
  check_variant(model, where.string(), expected);
  return model;
}

}  // namespace mxvideo::convert
