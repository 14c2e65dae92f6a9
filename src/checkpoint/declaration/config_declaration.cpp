#include "checkpoint/declaration/config_declaration.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/text/field.h"
#include "base/text/format.h"
#include "base/text/json.h"
#include "base/text/quote.h"
#include "checkpoint/declaration/config_scheme.h"
#include "checkpoint/declaration/declared_keys.h"
#include "checkpoint/declaration/stored_layers.h"
#include "checkpoint/safetensors.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kModelOptFile = "hf_quant_config.json";
constexpr const char* kAutoRoundFile = "quantization_config.json";

struct Method {
  std::string_view name;
  ConfigScheme (*read)(const JsonFields& fields);
};

constexpr std::array kMethods = {
    Method{"mxfp8", read_mxfp8_config},      Method{"compressed-tensors", read_compressed_tensors},
    Method{"modelopt", read_modelopt},       Method{"modelopt_mxfp8", read_modelopt},
    Method{"modelopt_mixed", read_modelopt}, Method{"auto-round", read_auto_round},
};

struct Source {
  std::string origin;
  json config;
};

std::vector<Source> find_sources(const fs::path& directory, const Checkpoint& checkpoint) {
  std::vector<Source> sources;
  if (const fs::path path = directory / "config.json"; fs::exists(path)) {
    const json config = read_json_file(path);
    const auto found = config.is_object() ? config.find(kQuantizationConfigKey) : config.end();
    if (found != config.end() && !found->is_null()) {
      sources.push_back({path.string() + ": " + kQuantizationConfigKey, *found});
    }
  }
  if (const fs::path path = directory / kAutoRoundFile; fs::exists(path)) {
    sources.push_back({path.string(), read_json_file(path)});
  }
  if (const fs::path path = directory / kModelOptFile; fs::exists(path)) {
    json config = read_json_file(path);
    if (config.is_object() && !config.contains("quant_method")) config["quant_method"] = "modelopt";
    sources.push_back({path.string(), std::move(config)});
  }
  for (const SafetensorsFile* file : checkpoint.files()) {
    const auto found = file->metadata().find(kQuantizationConfigKey);
    if (found == file->metadata().end()) continue;
    const std::string origin = file->path().string() + ": metadata " + kQuantizationConfigKey;
    sources.push_back({origin, parse_json(found->second, origin)});
  }
  return sources;
}

std::string known_methods() {
  std::string names;
  for (const Method& method : kMethods) {
    names += (names.empty() ? "" : ", ") + std::string(method.name);
  }
  return names;
}

ConfigScheme read_scheme(const Source& source) {
  const JsonFields fields(source.config, source.origin);
  const std::string name = fields.string("quant_method");
  const auto method = std::ranges::find(kMethods, name, &Method::name);
  if (method != kMethods.end()) return method->read(fields);
  ConfigScheme unknown;
  unknown.rules.push_back(
      {.layers = {LayerPattern::all()},
       .scheme = {.type = name,
                  .refusal = "quant_method: expected one of " + known_methods() + ", got '" +
                             printable(name, 64) + "'"}});
  return unknown;
}

bool matches_any(const std::vector<LayerPattern>& patterns, const std::string& layer) {
  return std::ranges::any_of(patterns,
                             [&](const LayerPattern& pattern) { return pattern.matches(layer); });
}

// Null where the config says nothing about the layer, or that it is float.
const QuantizedLayer* scheme_of(const ConfigScheme& scheme, const std::string& layer) {
  for (const ConfigRule& rule : scheme.rules) {
    if (!matches_any(rule.layers, layer)) continue;
    return rule.scheme.type.empty() ? nullptr : &rule.scheme;
  }
  return nullptr;
}

// E4M3 codes in another type, or the layer as it is.
QuantizedLayer as_stored(QuantizedLayer layer, const StoredLayer& stored) {
  if (!layer.element || stored.weight == stored_dtype(*layer.element)) return layer;
  layer.element.reset();
  layer.weight_only.clear();
  layer.refusal = "weight: expected F8_E4M3, got " + std::string(dtype_name(stored.weight));
  return layer;
}

QuantizationDeclaration declare(const Source& source, const Checkpoint& checkpoint) {
  const ConfigScheme scheme = read_scheme(source);
  QuantizationDeclaration declaration;
  declaration.source = QuantizationSource::kConfigJson;
  declaration.origin = source.origin;
  std::vector<std::string> left_out, float_layers;
  for (const auto& [name, stored] : stored_layers(checkpoint)) {
    const bool ignored = matches_any(scheme.ignored, name);
    const QuantizedLayer* declared = ignored ? nullptr : scheme_of(scheme, name);
    if (!stored.quantized) {
      if (declared != nullptr) float_layers.push_back(name);
    } else if (declared != nullptr) {
      declaration.layers.emplace(name, as_stored(*declared, stored));
    } else {
      left_out.push_back(name);
    }
  }
  if (!left_out.empty()) {
    throw Error(Code::kCorruptFile, source.origin + ": leaves " +
                                        count_of(std::ssize(left_out), "layer") +
                                        " unquantized that " + checkpoint.description() +
                                        " holds quantized: " + name_list(left_out));
  }
  const std::string method = source.config["quant_method"].get<std::string>();
  if (declaration.layers.empty()) {
    const QuantizedLayer& first = scheme.rules.front().scheme;
    if (!first.refusal.empty()) {
      throw Error(Code::kUnsupported, source.origin + ": " + first.refusal);
    }
    throw Error(Code::kCorruptFile,
                source.origin + ": declares " + method + ", but " + checkpoint.description() +
                    " holds no F8_E4M3 weight; remove " + kQuantizationConfigKey + " and ask for " +
                    field("quantization") + " mxfp8 to quantize while loading");
  }
  if (!float_layers.empty()) {
    declaration.notices.push_back(
        source.origin + ": " + count_of(std::ssize(float_layers), "layer") +
        " that it does not leave out " + (float_layers.size() == 1 ? "is" : "are") +
        " stored unquantized: " + name_list(float_layers, 5));
  }
  return declaration;
}

}  // namespace

std::string find_config_declaration(const fs::path& directory, const Checkpoint& checkpoint) {
  const std::vector<Source> sources = find_sources(directory, checkpoint);
  return sources.empty() ? "" : sources.front().origin;
}

std::optional<QuantizationDeclaration> config_declaration(const fs::path& directory,
                                                          const Checkpoint& checkpoint) {
  std::optional<QuantizationDeclaration> first;
  for (const Source& source : find_sources(directory, checkpoint)) {
    QuantizationDeclaration declaration = declare(source, checkpoint);
    if (!first) {
      first = std::move(declaration);
    } else if (first->layers != declaration.layers) {
      throw Error(Code::kCorruptFile,
                  source.origin + ": contradicts " + first->origin + "; remove one of them");
    }
  }
  return first;
}

}  // namespace mxvideo::checkpoint
