#include "convert/model_source.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "checkpoint/json.h"
#include "checkpoint/model_family.h"
#include "checkpoint/quote.h"
#include "convert/layout.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;
using checkpoint::WanVariant;

constexpr int64_t kTi2vChannels = 48;
constexpr int64_t kMaskChannels = 4;

// Where the experts lie, before any of them is opened.
struct Located {
  std::vector<std::pair<std::string, fs::path>> experts;  // component, directory or file
  std::optional<checkpoint::ModelIndex> index;
  fs::path diffusers_root;
};

std::vector<fs::path> safetensors_files(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool name_holds(const fs::path& file, std::string_view part) {
  return file.filename().string().find(part) != std::string::npos;
}

Located locate_pair(const ModelInputs& inputs) {
  if (inputs.high_noise.empty() || inputs.low_noise.empty()) {
    throw Error(Code::kInvalidArgument,
                "--high-noise-model and --low-noise-model belong together; got only one of them");
  }
  if (!inputs.path.empty()) {
    throw Error(Code::kInvalidArgument,
                inputs.path_flag + " excludes --high-noise-model and --low-noise-model");
  }
  return {.experts = {{kHighNoiseExpert, inputs.high_noise}, {kLowNoiseExpert, inputs.low_noise}},
          .index = std::nullopt,
          .diffusers_root = {}};
}

Located locate_diffusers(const fs::path& root) {
  Located located{.experts = {},
                  .index = checkpoint::read_model_index(root / "model_index.json"),
                  .diffusers_root = root};
  for (const char* component : {kHighNoiseExpert, kLowNoiseExpert}) {
    if (located.index->components.count(component) == 0) continue;
    if (!fs::is_directory(root / component)) {
      throw Error(Code::kNotFound, root.string() + ": model_index.json lists " + component +
                                       ", but there is no folder " + component);
    }
    located.experts.emplace_back(component, root / component);
  }
  return located;
}

Located locate_experts(const fs::path& root) {
  for (const char* folder : {"high_noise_model", "low_noise_model"}) {
    if (fs::is_directory(root / folder)) continue;
    throw Error(Code::kNotFound, root.string() + ": no folder " + folder +
                                     "; expected high_noise_model and low_noise_model, the two "
                                     "experts of Wan2.2-A14B");
  }
  return {.experts = {{kHighNoiseExpert, root / "high_noise_model"},
                      {kLowNoiseExpert, root / "low_noise_model"}},
          .index = std::nullopt,
          .diffusers_root = {}};
}

// A folder of single files: one per expert, told apart by their names.
std::optional<Located> locate_files(const fs::path& root) {
  std::vector<fs::path> high, low;
  const std::vector<fs::path> files = safetensors_files(root);
  for (const fs::path& file : files) {
    if (name_holds(file, "high_noise")) high.push_back(file);
    if (name_holds(file, "low_noise")) low.push_back(file);
  }
  if (high.empty() && low.empty()) return std::nullopt;
  if (high.size() != 1 || low.size() != 1) {
    throw Error(high.empty() || low.empty() ? Code::kNotFound : Code::kCorruptFile,
                root.string() +
                    ": expected one *high_noise*.safetensors and one "
                    "*low_noise*.safetensors, got " +
                    std::to_string(high.size()) + " and " + std::to_string(low.size()));
  }
  return Located{.experts = {{kHighNoiseExpert, high[0]}, {kLowNoiseExpert, low[0]}},
                 .index = std::nullopt,
                 .diffusers_root = {}};
}

bool holds_one_transformer(const fs::path& root) {
  if (fs::exists(root / "config.json")) return true;
  const std::vector<fs::path> files = safetensors_files(root);
  return std::any_of(files.begin(), files.end(), [](const fs::path& file) {
    return name_holds(file, "quant_model_weight") || name_holds(file, "diffusion_pytorch_model");
  });
}

Located locate(const ModelInputs& inputs) {
  if (!inputs.high_noise.empty() || !inputs.low_noise.empty()) return locate_pair(inputs);
  const fs::path& root = inputs.path;
  if (root.empty()) {
    throw Error(Code::kInvalidArgument,
                inputs.path_flag + " or --high-noise-model and --low-noise-model is required");
  }
  const auto single = [](const fs::path& weights) {
    return Located{
        .experts = {{kHighNoiseExpert, weights}}, .index = std::nullopt, .diffusers_root = {}};
  };
  if (fs::is_regular_file(root)) return single(root);
  if (!fs::is_directory(root)) {
    throw Error(Code::kNotFound, root.string() + ": no such file or directory");
  }
  if (fs::exists(root / "model_index.json")) return locate_diffusers(root);
  if (fs::exists(root / "high_noise_model") || fs::exists(root / "low_noise_model")) {
    return locate_experts(root);
  }
  if (const std::optional<Located> files = locate_files(root)) return *files;
  if (holds_one_transformer(root)) return single(root);
  const std::vector<fs::path> files = safetensors_files(root);
  if (files.size() == 1) return single(files[0]);
  throw Error(Code::kNotFound,
              root.string() +
                  ": no Wan2.2 transformer here: expected model_index.json, high_noise_model and "
                  "low_noise_model, quant_model_weight*.safetensors, "
                  "diffusion_pytorch_model*.safetensors or one .safetensors file");
}

// Another model is said to be one before anything is asked of its variant, experts or flags.
void refuse_other_model(const TransformerSource& source) {
  if (source.quantized()) return;  // an export may omit tensors that its original has
  const auto family = checkpoint::recognise_family(source.opened.checkpoint);
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
  const nlohmann::json config = checkpoint::read_json_file(source.config.file);
  const std::string type =
      checkpoint::JsonFields(config, source.config.origin).string("model_type");
  const WanVariant declared = type == "i2v"    ? WanVariant::kI2V
                              : type == "ti2v" ? WanVariant::kTI2V
                                               : WanVariant::kT2V;
  const bool known = type == "t2v" || type == "i2v" || type == "ti2v";
  const bool stacked = by_channels == WanVariant::kI2V;
  if (!known || stacked != (declared == WanVariant::kI2V)) {
    throw Error(Code::kCorruptFile, source.config.origin + ": model_type '" +
                                        checkpoint::printable(type) + "' does not fit " +
                                        std::to_string(source.config.sizes.in_channels) +
                                        " input channels");
  }
  return declared;
}

void check_variant(const ModelSource& model, const std::string& where,
                   std::optional<WanVariant> expected) {
  if (expected && *expected != model.variant) {
    throw Error(Code::kInvalidArgument,
                "--model-type says " + std::string(model_type_name(*expected)) + ", but " + where +
                    " holds " + std::string(model_type_name(model.variant)));
  }
  const size_t needed = has_two_experts(model.variant) ? 2 : 1;
  if (model.experts.size() == needed) return;
  throw Error(Code::kNotFound,
              where + ": " + std::string(model_type_name(model.variant)) + " has " +
                  std::to_string(needed) + " expert(s), got " +
                  std::to_string(model.experts.size()) +
                  (needed == 2 ? "; name both with --high-noise-model and --low-noise-model" : ""));
}

}  // namespace

ModelInputs original_inputs(const fs::path& path) {
  return {.path = path, .high_noise = {}, .low_noise = {}, .path_flag = "--original-model-path"};
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
  const fs::path& where = inputs.path.empty() ? inputs.high_noise : inputs.path;
  check_variant(model, where.string(), expected);
  return model;
}

}  // namespace mxvideo::convert
