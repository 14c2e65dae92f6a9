#include "convert/transformer_source.h"

#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/text/json.h"
#include "base/text/quote.h"
#include "checkpoint/wan/model_family.h"
#include "checkpoint/wan/model_index.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;
using checkpoint::ParameterSpec;
using checkpoint::TransformerCheckpoint;
using models::WanTransformerConfig;

constexpr int64_t kWanHeadDim = 128;
constexpr int64_t kPatchVolume = 4;  // 1·2·2

TransformerConfig read_config(const fs::path& file) {
  nlohmann::json json = read_json_file(file);
  const std::string origin = file.string();
  const std::string class_name = JsonFields(json, origin).string("_class_name");
  const bool of_wan_model = class_name == "WanModel";
  if (of_wan_model) json = checkpoint::transformer_config_from_wan(json, origin);
  const WanTransformerConfig sizes = WanTransformerConfig::from_json(json, origin);
  return {.json = std::move(json),
          .origin = origin,
          .file = file,
          .of_wan_model = of_wan_model,
          .heads_known = true,
          .sizes = sizes};
}

// Reads sizes off the shapes of a transformer that came without a config.
class ShapeReader {
 public:
  explicit ShapeReader(const checkpoint::Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  int64_t dim(const std::string& tensor, int axis, int rank) const {
    const auto found = checkpoint_.tensors().find(tensor);
    if (found == checkpoint_.tensors().end()) fail("tensor " + tensor + " is missing");
    const Shape& shape = found->second.view.shape;
    if (shape.rank() != rank) {
      fail("tensor " + tensor + ": expected " + std::to_string(rank) + " dimensions, got shape " +
           shape.to_string());
    }
    return shape[axis];
  }

  // One more than the largest number behind "blocks.".
  int64_t block_count() const {
    constexpr std::string_view kPrefix = "blocks.";
    int64_t count = 0;
    for (const auto& [name, tensor] : checkpoint_.tensors()) {
      if (!name.starts_with(kPrefix)) continue;
      int64_t index = -1;
      std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), index);
      count = std::max(count, index + 1);
    }
    if (count == 0) fail("no tensor blocks.N.…");
    return count;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    checkpoint::refuse_misfit(
        checkpoint_,
        "there is no config.json, and the sizes of the transformer cannot be told: " + what);
  }

  const checkpoint::Checkpoint& checkpoint_;
};

TransformerConfig infer_config(const checkpoint::Checkpoint& checkpoint) {
  const ShapeReader shapes(checkpoint);
  const int64_t dim = shapes.dim("patch_embedding.weight", 0, 5);
  const bool heads_known = dim % kWanHeadDim == 0;
  nlohmann::json json = {
      {"_class_name", "WanTransformer3DModel"},
      {"added_kv_proj_dim", nullptr},
      {"attention_head_dim", heads_known ? kWanHeadDim : dim},
      {"cross_attn_norm", true},
      {"eps", 1e-6},
      {"ffn_dim", shapes.dim("blocks.0.ffn.net.0.proj.weight", 0, 2)},
      {"freq_dim", shapes.dim("condition_embedder.time_embedder.linear_1.weight", 1, 2)},
      {"image_dim", nullptr},
      {"in_channels", shapes.dim("patch_embedding.weight", 1, 5)},
      {"num_attention_heads", heads_known ? dim / kWanHeadDim : 1},
      {"num_layers", shapes.block_count()},
      {"out_channels", shapes.dim("proj_out.weight", 0, 2) / kPatchVolume},
      {"patch_size", {1, 2, 2}},
      {"pos_embed_seq_len", nullptr},
      {"qk_norm", "rms_norm_across_heads"},
      {"rope_max_seq_len", 1024},
      {"text_dim", shapes.dim("condition_embedder.text_embedder.linear_1.weight", 1, 2)},
  };
  const std::string origin = checkpoint.description() + ": sizes of its tensors";
  const WanTransformerConfig sizes = WanTransformerConfig::from_json(json, origin);
  return {.json = std::move(json),
          .origin = origin,
          .file = {},
          .of_wan_model = false,
          .heads_known = heads_known,
          .sizes = sizes};
}

void refuse_foreign_types(const TransformerSource& source) {
  std::vector<std::string> foreign;
  for (const auto& [layer, quantized] : source.opened.quantization.layers) {
    if (!quantized.element)
      foreign.push_back(layer + " (" + checkpoint::unsupported_kind(quantized) + ")");
  }
  if (foreign.empty()) return;
  throw Error(Code::kUnsupported,
              source.opened.quantization.origin +
                  ": layers of a type other than MXFP8 and MXINT8: " + name_list(foreign));
}

}  // namespace

TransformerSource open_transformer_source(std::string component, const fs::path& weights) {
  TransformerCheckpoint opened = checkpoint::open_transformer_checkpoint(weights);
  const fs::path config_file = weights / "config.json";
  TransformerConfig config = fs::is_directory(weights) && fs::exists(config_file)
                                 ? read_config(config_file)
                                 : infer_config(opened.checkpoint);
  return {.component = std::move(component),
          .weights = weights,
          .opened = std::move(opened),
          .config = std::move(config)};
}

MxLayers mx_layers(const TransformerSource& source) {
  MxLayers layers;
  for (const auto& [layer, quantized] : source.opened.quantization.layers) {
    if (quantized.element) layers.emplace(layer, *quantized.element);
  }
  return layers;
}

std::vector<ParameterSpec> expected_tensors(const TransformerSource& source,
                                            const WanTransformerConfig& config) {
  const auto plain = quantization::make_quantization_config({});
  models::WanTransformer model(config, *plain);
  checkpoint::ParameterLoader loader;
  model.declare_parameters(loader);
  const MxLayers quantized = mx_layers(source);
  const bool swizzled = source.opened.quantization.scale_layout == formats::ScaleLayout::kSwizzled;

  struct Stored {
    DType codes;
    Shape scales;
  };
  std::map<std::string, Stored> stored;  // by the name of the weight
  for (const quantization::LinearMethod* linear : model.linears()) {
    const auto found = quantized.find(linear->name());
    if (found == quantized.end()) continue;
    const formats::ScaleGrid grid{.rows = linear->shape().out_features,
                                  .columns = linear->shape().in_features / formats::kMxBlockSize};
    stored[linear->name() + ".weight"] = {
        .codes = checkpoint::stored_dtype(found->second),
        .scales = swizzled ? Shape{grid.padded_rows(), grid.padded_columns()}
                           : Shape{grid.rows, grid.columns}};
  }
  std::vector<ParameterSpec> specs;
  for (ParameterSpec& spec : loader.declared()) {
    const auto weight = stored.find(spec.name);
    if (weight == stored.end()) {
      specs.push_back(std::move(spec));
      continue;
    }
    const std::string scale_name = spec.name + "_scale";
    spec.dtypes = {weight->second.codes};
    specs.push_back(std::move(spec));
    specs.push_back({.name = scale_name,
                     .shape = weight->second.scales,
                     .dtypes = {DType::kU8, DType::kF8E8M0},
                     .content = checkpoint::Content::kE8m0Scales});
  }
  return specs;
}

void check_transformer_tensors(const TransformerSource& source, const WanTransformerConfig& config,
                               const std::set<std::string>& provided) {
  refuse_foreign_types(source);
  std::vector<ParameterSpec> specs;
  for (ParameterSpec& spec : expected_tensors(source, config)) {
    if (provided.count(spec.name) == 0) specs.push_back(std::move(spec));
  }
  checkpoint::ParameterLoader loader;
  loader.add_unused(std::move(specs));
  for (const std::string& name : source.opened.quantization.companions) loader.ignore(name);
  loader.check_key_set(source.opened.checkpoint);
  for (const auto& [layer, element] : mx_layers(source)) {  // their scales have been read
    source.tensors().find(layer + ".weight_scale")->second.release_pages();
  }
}

}  // namespace mxvideo::convert
