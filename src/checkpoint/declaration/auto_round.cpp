#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text/quote.h"
#include "checkpoint/declaration/config_scheme.h"
#include "checkpoint/declaration/declared_keys.h"

namespace mxvideo::checkpoint {
namespace {

using nlohmann::json;

constexpr std::string_view kMxTypes =
    R"(["mx_fp", "mx_fp_rceil", "mx_fp8", "mx_fp8_rceil", "mx_fp8e4m3", "mx_fp8e4m3_rceil"])";
constexpr int64_t kFloatBits = 16;

constexpr std::array kSchemeKeys = {
    DeclaredKey{"bits", "[8]"},         DeclaredKey{"group_size", "[32]"},
    DeclaredKey{"data_type", kMxTypes}, DeclaredKey{"sym", "[true]"},
    DeclaredKey{"super_bits", "[]"},    DeclaredKey{"super_group_size", "[]"},
};

// With activations of 8 bits.
constexpr std::array kActivationKeys = {
    DeclaredKey{"act_bits", "[8]"},         DeclaredKey{"act_group_size", "[32]"},
    DeclaredKey{"act_data_type", kMxTypes}, DeclaredKey{"act_sym", "[true]"},
    DeclaredKey{"act_dynamic", "[true]"},
};

constexpr std::array kFileKeys = {
    DeclaredKey{"quant_method"},
    DeclaredKey{"block_name_to_quantize"},
    DeclaredKey{"extra_config"},
    DeclaredKey{"packing_format",
                R"(["auto_round:llm_compressor", "auto_round", "llm_compressor"])"},
    // Rotations of weights or activations, and a second scale.
    DeclaredKey{"hadamard_config", "[{}]"},
    DeclaredKey{"rotation_config", "[{}]"},
    DeclaredKey{"transform_config", "[{}]"},
    DeclaredKey{"dual_scale", "[false]"},
    DeclaredKey{"static_attention_dtype", "[]"},
    DeclaredKey{"desc_act", "[false]"},
    DeclaredKey{"static_kv_dtype"},  // these models have no cache of keys and values
    DeclaredKey{"quant_lm_head"},    // nor such a layer
    DeclaredKey{"quant_nontext_module"},
    DeclaredKey{"scale_dtype"},  // of other formats; here scales are E8M0
    // How the weights were found, and by what.
    DeclaredKey{"autoround_version"},
    DeclaredKey{"amp"},
    DeclaredKey{"batch_size"},
    DeclaredKey{"dataset"},
    DeclaredKey{"disable_deterministic_algorithms"},
    DeclaredKey{"disable_opt_rtn"},
    DeclaredKey{"dynamic_max_gap"},
    DeclaredKey{"enable_alg_ext"},
    DeclaredKey{"enable_deterministic_algorithms"},
    DeclaredKey{"enable_minmax_tuning"},
    DeclaredKey{"enable_norm_bias_tuning"},
    DeclaredKey{"enable_quanted_input"},
    DeclaredKey{"enable_torch_compile"},
    DeclaredKey{"gradient_accumulate_steps"},
    DeclaredKey{"guidance_scale"},
    DeclaredKey{"iters"},
    DeclaredKey{"low_cpu_mem_usage"},
    DeclaredKey{"low_gpu_mem_usage"},
    DeclaredKey{"lr"},
    DeclaredKey{"lr_scheduler"},
    DeclaredKey{"minmax_lr"},
    DeclaredKey{"momentum"},
    DeclaredKey{"not_use_best_mse"},
    DeclaredKey{"nsamples"},
    DeclaredKey{"num_inference_steps"},
    DeclaredKey{"generator_seed"},
    DeclaredKey{"seed"},
    DeclaredKey{"seqlen"},
};

bool is_activation_key(std::string_view name) { return name.starts_with("act_"); }

// Keys of the scheme among those of the file, and the others.
struct Parts {
  json scheme = json::object(), activations = json::object(), file = json::object();
};

Parts split(const json& object) {
  Parts parts;
  for (const auto& [name, value] : object.items()) {
    const bool scheme =
        std::ranges::find(kSchemeKeys, name, &DeclaredKey::name) != kSchemeKeys.end();
    (scheme                    ? parts.scheme
     : is_activation_key(name) ? parts.activations
                               : parts.file)[name] = value;
  }
  return parts;
}

// Of activations: the type that quantizes them names the rule of their scales; without one it is
// that of the weights.
std::optional<DeclaredRule> activation_rule(const JsonFields& scheme,
                                            const JsonFields& activations) {
  const bool own = activations.has("act_data_type");
  const std::string type =
      own ? activations.string_or("act_data_type", "") : scheme.string_or("data_type", "");
  return DeclaredRule{
      .rule = type.ends_with("_rceil") ? formats::ScaleRule::kRceil : formats::ScaleRule::kFloor,
      .declaration = (own ? "act_data_type: " : "data_type: ") + type};
}

// A layer's scheme; one without a type is float.
QuantizedLayer read_scheme(const Parts& parts, const std::string& origin,
                           const std::string& refusal_of_file) {
  const JsonFields scheme(parts.scheme, origin);
  const JsonFields activations(parts.activations, origin);
  if (scheme.integer_or("bits", 0, 0, 64) >= kFloatBits) return {};
  std::string refusal = refusal_of_file;
  join_refusal(refusal, refuse_keys(parts.scheme, kSchemeKeys));
  constexpr std::array kRequired = {"bits", "group_size", "data_type"};
  for (const char* key : kRequired) {
    if (scheme.has(key)) continue;
    join_refusal(refusal, refuse_value(key, "that of MXFP8", nullptr));
  }
  std::string weight_only;
  const int64_t act_bits = activations.integer_or("act_bits", kFloatBits, 0, 64);
  if (act_bits < kFloatBits) {
    join_refusal(refusal, refuse_keys(parts.activations, kActivationKeys));
  } else {
    weight_only = activations.has("act_bits") ? "act_bits: " + std::to_string(act_bits)
                                              : std::string("no act_bits");
  }
  QuantizedLayer layer =
      mxfp8_layer(scheme.string_or("data_type", "auto-round") + " of " +
                      std::to_string(scheme.integer_or("bits", 0, 0, 64)) + " bits",
                  refusal, weight_only);
  if (layer.element && weight_only.empty()) {
    layer.activation_rule = activation_rule(scheme, activations);
  }
  return layer;
}

// A list of names, a list of lists of them, or names with commas between.
std::vector<LayerPattern> block_patterns(const json& blocks) {
  std::vector<LayerPattern> patterns;
  if (blocks.is_array()) {
    for (const json& entry : blocks) {
      for (LayerPattern& pattern : block_patterns(entry)) patterns.push_back(std::move(pattern));
    }
  } else if (blocks.is_string()) {
    std::string name;
    for (const char c : blocks.get<std::string>() + ",") {
      if (c != ',') {
        if (c != ' ') name += c;
      } else if (!name.empty()) {
        patterns.push_back(LayerPattern::module(std::exchange(name, {})));
      }
    }
  }
  return patterns;
}

// Names of layers, or regular expressions.
LayerPattern extra_pattern(const std::string& name, const std::string& origin) {
  const bool is_name = name.find_first_of("*+?^$()[]{}|\\") == std::string::npos;
  return is_name ? LayerPattern::module(name) : LayerPattern::regex(name, false, origin);
}

}  // namespace

ConfigScheme read_auto_round(const JsonFields& fields) {
  const Parts parts = split(fields.object());
  const std::string refusal = refuse_keys(parts.file, kFileKeys);
  ConfigScheme scheme;
  if (const json& extra = fields.raw("extra_config"); !extra.is_null()) {
    const JsonFields checked(extra, fields.origin() + ": extra_config");  // an object
    for (const auto& [name, own] : extra.items()) {
      const std::string origin = checked.origin() + " '" + printable(name) + "'";
      const JsonFields layer(own, origin);  // an object
      json merged = parts.scheme;
      merged.update(parts.activations);
      merged.update(own);
      const Parts layer_parts = split(merged);
      std::string layer_refusal = refusal;
      join_refusal(layer_refusal, refuse_keys(layer_parts.file, {}));
      scheme.rules.push_back({.layers = {extra_pattern(name, origin)},
                              .scheme = read_scheme(layer_parts, layer.origin(), layer_refusal)});
    }
  }
  std::vector<LayerPattern> blocks = block_patterns(fields.raw("block_name_to_quantize"));
  if (blocks.empty()) blocks.push_back(LayerPattern::all());
  scheme.rules.push_back(
      {.layers = std::move(blocks), .scheme = read_scheme(parts, fields.origin(), refusal)});
  return scheme;
}

}  // namespace mxvideo::checkpoint
