#include "checkpoint/declaration/modelslim_declaration.h"

#include <algorithm>
#include <array>

#include "base/text/format.h"
#include "base/text/quote.h"
#include "checkpoint/declaration/config_scheme.h"
#include "checkpoint/declaration/declared_keys.h"
#include "checkpoint/declaration/stored_layers.h"
#include "checkpoint/modelslim.h"

namespace mxvideo::checkpoint {
namespace {

using nlohmann::json;

// Members that are no types of tensors.
constexpr std::array kMemberKeys = {
    DeclaredKey{"model_quant_type"},  // of most layers; each has its own
    DeclaredKey{"version"},           // of the tool
    DeclaredKey{"quant_method", R"(["modelslim"])"},
    DeclaredKey{"group_size", "[0, 32]"},  // 0: said by the types
    DeclaredKey{"ignore"},                 // layers that are FLOAT
    DeclaredKey{"quant_type"},             // as model_quant_type
    DeclaredKey{"fa_quant_type"},          // of attention, which is computed in fp32
    DeclaredKey{"kv_quant_type"},          // these models have no cache of keys and values
    DeclaredKey{"kv_cache_type"},
    DeclaredKey{"format"},
    DeclaredKey{"metadata"},
    DeclaredKey{"timestep_policy"},         // of attention and of MXFP4, said in a notice
    DeclaredKey{"packed_modules_mapping"},  // fused layers of another program
    DeclaredKey{"mxfp4_scale_alg"},         // of MXFP4
    DeclaredKey{"mxfp4_dst_type_max"},
};

// Members that nobody knows are noted: the types say all about the tensors, and exporters add what
// other programs need (rotations of draft models, versions, hashes).
std::vector<std::string> unknown_members(const json& other) {
  std::vector<std::string> unknown;
  for (const auto& [name, value] : other.items()) {
    const bool known =
        std::ranges::find(kMemberKeys, name, &DeclaredKey::name) != kMemberKeys.end();
    if (!known && !value.is_null() && !(value.is_structured() && value.empty())) {
      unknown.push_back(name);
    }
  }
  return unknown;
}

std::string refuse_members(const json& other) {
  json known = json::object();
  for (const DeclaredKey& key : kMemberKeys) {
    const auto found = other.find(std::string(key.name));
    if (found != other.end()) known[found.key()] = *found;
  }
  return refuse_keys(known, kMemberKeys);
}

}  // namespace

bool is_attention_module(std::string_view name) {
  return name.ends_with(".attn1") || name.ends_with(".attn2");
}

QuantizationDeclaration modelslim_declaration(const std::filesystem::path& path) {
  QuantizationDeclaration declaration;
  declaration.source = QuantizationSource::kModelSlim;
  declaration.origin = path.string();
  declaration.description = canonical_description(read_modelslim_description(path), path.string());
  const json& other = declaration.description.other;
  const std::vector<std::string> unknown = unknown_members(other);
  const std::string refusal = refuse_members(other);
  const std::vector<LayerPattern> ignored =
      layer_patterns(JsonFields(other, path.string()), "ignore");
  for (const auto& [name, type] : declaration.description.types) {
    if (type == kModelSlimFloat) continue;
    if (const auto attention = strip_suffix(name, kAttentionType)) {
      declaration.attention.emplace(*attention, type);
    } else if (is_attention_module(name)) {
      declaration.attention.emplace(name, type);
    } else if (const auto layer = strip_suffix(name, ".weight")) {
      QuantizedLayer entry{.type = type, .element = modelslim_element(type)};
      const bool left_out = std::ranges::any_of(
          ignored, [&](const LayerPattern& pattern) { return pattern.matches(*layer); });
      if (entry.element && (left_out || !refusal.empty())) {
        entry.element.reset();
        entry.refusal = left_out ? "ignore naming it as unquantized" : refusal;
      }
      declaration.layers.emplace(*layer, std::move(entry));
    }
  }
  if (!unknown.empty()) {
    declaration.notices.push_back(path.string() + ": " + count_of(std::ssize(unknown), "member") +
                                  " not known and ignored: " + name_list(unknown));
  }
  if (declaration.description.other.contains("timestep_policy")) {
    declaration.notices.push_back(path.string() +
                                  ": timestep_policy is ignored: all steps are computed alike");
  }
  return declaration;
}

}  // namespace mxvideo::checkpoint
