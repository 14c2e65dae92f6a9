#include <array>

#include "base/error.h"
#include "base/text/quote.h"
#include "checkpoint/declaration/config_scheme.h"
#include "checkpoint/declaration/declared_keys.h"

namespace mxvideo::checkpoint {
namespace {

using nlohmann::json;

constexpr std::string_view kMxfp8 = "MXFP8";
constexpr std::string_view kMixed = "MIXED_PRECISION";

// Of config.json, and of hf_quant_config.json, which has most of them under "quantization".
constexpr std::array kKeys = {
    DeclaredKey{"quant_method"},
    DeclaredKey{"quant_algo"},
    DeclaredKey{"quantization"},
    DeclaredKey{"quantized_layers"},
    DeclaredKey{"ignore"},
    DeclaredKey{"exclude_modules"},
    DeclaredKey{"ignored_layers"},
    DeclaredKey{"config_groups"},  // checked against quant_algo
    DeclaredKey{"group_size", "[32]"},
    DeclaredKey{"producer"},         // name and version of the library that wrote it
    DeclaredKey{"kv_cache_scheme"},  // these models have no cache of keys and values
    DeclaredKey{"kv_cache_quant_algo"},
    DeclaredKey{"packed_modules_mapping"},  // fused layers of another program
    DeclaredKey{"pre_quant_scale", "[false]"},
    DeclaredKey{"has_zero_point", "[false]"},
};

constexpr std::array kLayerKeys = {
    DeclaredKey{"quant_algo"},
    DeclaredKey{"group_size", "[32]"},
};

constexpr std::array kGroupKeys = {
    DeclaredKey{"targets"},
    DeclaredKey{"weights"},
    DeclaredKey{"input_activations"},
    DeclaredKey{"pre_quant_scale", "[false]"},
    DeclaredKey{"has_zero_point", "[false]"},
};

constexpr std::array kArgumentKeys = {
    DeclaredKey{"num_bits", "[8]"},
    DeclaredKey{"type", R"(["float"])"},
    DeclaredKey{"group_size", "[32]"},
    DeclaredKey{"strategy", R"(["group"])"},
    DeclaredKey{"symmetric", "[true]"},
    DeclaredKey{"dynamic"},  // always written as false; MXFP8 has no calibrated scales
};

std::string refuse_groups(const JsonFields& fields) {
  std::string refusal;
  const json& groups = fields.raw("config_groups");
  if (!groups.is_object()) return refusal;
  for (const auto& [name, group] : groups.items()) {
    const std::string prefix = "config_groups." + printable(name) + ".";
    const JsonFields group_fields(group, fields.origin() + ": config_groups");
    join_refusal(refusal, refuse_keys(group, kGroupKeys, prefix));
    for (const char* part : {"weights", "input_activations"}) {
      if (!group_fields.has(part)) continue;
      const json& arguments = group_fields.raw(part);
      const JsonFields checked(arguments, group_fields.origin() + ": " + part);  // an object
      join_refusal(refusal, refuse_keys(arguments, kArgumentKeys, prefix + part + "."));
    }
  }
  return refusal;
}

QuantizedLayer layer_of_algorithm(const std::string& algorithm, const std::string& refusal) {
  if (algorithm == kMxfp8) return mxfp8_layer("mxfp8", refusal);
  return {.type = algorithm};
}

// Of everything but the layers.
std::string refuse_file(const JsonFields& fields, const JsonFields& quantization) {
  std::string refusal = refuse_keys(fields.object(), kKeys);
  if (!fields.has("quantization")) return refusal;
  join_refusal(refusal, refuse_keys(quantization.object(), kKeys, "quantization."));
  const std::string inner = quantization.string("quant_algo");
  if (fields.string_or("quant_algo", inner) != inner) {
    join_refusal(refusal, refuse_value("quant_algo", inner, fields.raw("quant_algo")));
  }
  return refusal;
}

void read_quantized_layers(const JsonFields& fields, const std::string& refusal,
                           ConfigScheme& scheme) {
  const std::string origin = fields.origin() + ": quantized_layers";
  const json& layers = fields.raw("quantized_layers");
  if (!layers.is_object()) {
    throw Error(Code::kCorruptFile, origin + ": expected an object, got " + describe_json(layers));
  }
  for (const auto& [name, layer] : layers.items()) {
    const JsonFields layer_fields(layer, origin + " '" + printable(name) + "'");
    std::string layer_refusal = refusal;
    join_refusal(layer_refusal, refuse_keys(layer, kLayerKeys));
    scheme.rules.push_back(
        {.layers = {LayerPattern::module(name)},
         .scheme = layer_of_algorithm(layer_fields.string("quant_algo"), layer_refusal)});
  }
}

}  // namespace

ConfigScheme read_modelopt(const JsonFields& fields) {
  const json& inner = fields.has("quantization") ? fields.raw("quantization") : fields.object();
  const JsonFields quantization(inner, fields.origin());
  const std::string algorithm = quantization.string("quant_algo");
  std::string refusal = refuse_file(fields, quantization);
  ConfigScheme scheme;
  if (algorithm == kMixed) {
    read_quantized_layers(quantization, refusal, scheme);
  } else {
    if (algorithm == kMxfp8) join_refusal(refusal, refuse_groups(fields));
    scheme.rules.push_back(
        {.layers = {LayerPattern::all()}, .scheme = layer_of_algorithm(algorithm, refusal)});
  }
  for (const JsonFields* part : {&fields, &quantization}) {
    for (const char* key : {"ignore", "exclude_modules", "ignored_layers"}) {
      for (LayerPattern& pattern : layer_patterns(*part, key)) {
        scheme.ignored.push_back(std::move(pattern));
      }
    }
  }
  return scheme;
}

}  // namespace mxvideo::checkpoint
