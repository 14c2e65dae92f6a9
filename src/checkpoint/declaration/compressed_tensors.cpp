#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "base/text/quote.h"
#include "checkpoint/declaration/config_scheme.h"
#include "checkpoint/declaration/declared_keys.h"

namespace mxvideo::checkpoint {
namespace {

using nlohmann::json;

constexpr std::string_view kFormat = "mxfp8-quantized";
constexpr std::string_view kMixed = "mixed-precision";

constexpr std::array kKeys = {
    DeclaredKey{"quant_method"},
    DeclaredKey{"config_groups"},
    DeclaredKey{"format"},
    DeclaredKey{"ignore"},
    DeclaredKey{"quantization_status", R"(["compressed"])"},
    DeclaredKey{"sparsity_config", "[{}]"},
    DeclaredKey{"transform_config", "[{}]"},
    DeclaredKey{"kv_cache_scheme"},           // these models have no cache of keys and values
    DeclaredKey{"global_compression_ratio"},  // a figure
    DeclaredKey{"version"},                   // of the library that wrote it
    DeclaredKey{"run_compressed"},            // how another library loads it
};

constexpr std::array kGroupKeys = {
    DeclaredKey{"targets"},
    DeclaredKey{"weights"},
    DeclaredKey{"input_activations"},
    DeclaredKey{"format"},
    DeclaredKey{"output_activations", "[]"},
};

// Of weights and of activations.
constexpr std::array kArgumentKeys = {
    DeclaredKey{"num_bits", "[8]"},
    DeclaredKey{"type", R"(["float"])"},
    DeclaredKey{"symmetric", "[true]"},
    DeclaredKey{"strategy", R"(["group"])"},
    DeclaredKey{"group_size", "[32]"},
    DeclaredKey{"block_structure", "[]"},
    DeclaredKey{"scale_dtype", R"(["torch.uint8", "torch.float8_e8m0fnu"])"},
    DeclaredKey{"zp_dtype"},  // there are no zero points in symmetric quantization
    DeclaredKey{"observer"},  // how the scales were found
    DeclaredKey{"observer_kwargs"},
};

constexpr std::array kWeightKeys = {
    DeclaredKey{"dynamic", "[false]"},
    // By "group" the columns of a weight may have changed their places.
    DeclaredKey{"actorder", R"([false, "weight", "static"])"},
};

constexpr std::array kInputKeys = {
    DeclaredKey{"dynamic", "[true]"},
    DeclaredKey{"actorder", "[false]"},
};

// Keys whose absence means another value than MXFP8's.
struct Required {
  const char* key;
  const char* expected;
};

std::string refuse_arguments(const JsonFields& group, const std::string& name,
                             std::span<const DeclaredKey> own_keys,
                             std::span<const Required> required) {
  const json& arguments = group.raw(name);
  std::vector<DeclaredKey> keys(kArgumentKeys.begin(), kArgumentKeys.end());
  keys.insert(keys.end(), own_keys.begin(), own_keys.end());
  const JsonFields fields(arguments, group.origin() + ": " + name);
  std::string refusal = refuse_keys(arguments, keys, name + ".");
  for (const Required& entry : required) {
    if (fields.has(entry.key)) continue;
    join_refusal(refusal, refuse_value(name + "." + entry.key, entry.expected, nullptr));
  }
  return refusal;
}

std::string refuse_weights(const JsonFields& group) {
  constexpr std::array kRequired = {Required{"type", "\"float\""}, Required{"group_size", "32"}};
  if (!group.has("weights")) return "weights: expected MXFP8, got none";
  return refuse_arguments(group, "weights", kWeightKeys, kRequired);
}

std::string refuse_inputs(const JsonFields& group) {
  constexpr std::array kRequired = {Required{"type", "\"float\""}, Required{"group_size", "32"},
                                    Required{"dynamic", "true"}};
  return refuse_arguments(group, "input_activations", kInputKeys, kRequired);
}

// "Linear" is a class of modules; other targets are names.
std::vector<LayerPattern> targets_of(const JsonFields& group) {
  const std::vector<std::string> names = string_list(group, "targets");
  if (std::ranges::find(names, "Linear") != names.end()) return {LayerPattern::all()};
  return layer_patterns(group, "targets");
}

ConfigRule read_group(const JsonFields& group, const std::string& top_format,
                      const std::string& top_refusal) {
  const std::string format = group.string_or("format", top_format == kMixed ? "" : top_format);
  std::string refusal = top_refusal;
  if (format != kFormat) {
    const json got = format.empty() ? json() : json(format);
    join_refusal(refusal, refuse_value("format", "\"" + std::string(kFormat) + "\"", got));
    return {.layers = targets_of(group),
            .scheme = {.type = format.empty() ? top_format : format, .refusal = refusal}};
  }
  join_refusal(refusal, refuse_keys(group.object(), kGroupKeys));
  join_refusal(refusal, refuse_weights(group));
  std::string weight_only;
  if (group.has("input_activations")) {
    join_refusal(refusal, refuse_inputs(group));
  } else {
    weight_only = "input_activations: null";
  }
  return {.layers = targets_of(group), .scheme = mxfp8_layer("mxfp8", refusal, weight_only)};
}

// A group that is only a list of targets is named for its scheme.
ConfigRule read_preset(std::string name, const JsonFields& groups, const std::string& top_refusal) {
  const json targets_only = json::object({{"targets", groups.raw(name)}});
  const JsonFields group(targets_only, groups.origin() + " '" + printable(name) + "'");
  std::vector<LayerPattern> targets = targets_of(group);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
  std::string refusal = top_refusal;
  const bool weight_only = name == "MXFP8A16";
  if (name != "MXFP8" && !weight_only) {
    join_refusal(refusal, "preset: expected MXFP8 or MXFP8A16, got " + printable(name));
  }
  return {.layers = std::move(targets),
          .scheme = mxfp8_layer("mxfp8", refusal, weight_only ? "preset MXFP8A16" : "")};
}

}  // namespace

ConfigScheme read_compressed_tensors(const JsonFields& fields) {
  const std::string format = fields.string_or("format", std::string(kFormat));
  const json& groups = fields.raw("config_groups");
  if (!groups.is_object() || groups.empty()) {
    throw Error(Code::kCorruptFile, fields.origin() +
                                        ": config_groups: expected a non-empty object, got " +
                                        describe_json(groups));
  }
  const std::string refusal = refuse_keys(fields.object(), kKeys);
  const std::string origin = fields.origin() + ": config_groups";
  ConfigScheme scheme;
  for (const auto& [name, group] : groups.items()) {
    scheme.rules.push_back(
        group.is_array() ? read_preset(name, JsonFields(groups, origin), refusal)
                         : read_group(JsonFields(group, origin + " '" + printable(name) + "'"),
                                      format, refusal));
  }
  scheme.ignored = layer_patterns(fields, "ignore");
  return scheme;
}

}  // namespace mxvideo::checkpoint
