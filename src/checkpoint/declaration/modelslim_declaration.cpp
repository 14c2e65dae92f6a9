#include "checkpoint/declaration/modelslim_declaration.h"

#include <algorithm>
#include <array>

#include "base/format.h"
#include "checkpoint/declaration/declared_keys.h"
#include "checkpoint/declaration/stored_layers.h"
#include "checkpoint/modelslim.h"
#include "checkpoint/quote.h"

namespace mxvideo::checkpoint {
namespace {

using nlohmann::json;

// Members that are no types of tensors.
constexpr std::array kMemberKeys = {
    DeclaredKey{"model_quant_type"},  // of most layers; each has its own
    DeclaredKey{"version"},           // of the tool
    DeclaredKey{"quant_method", R"(["modelslim"])"},
    DeclaredKey{"group_size", "[0, 32]"},  // 0: said by the types
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

// Strings that nobody knows describe the file and change no number: noted. Other values are
// refused.
std::string refuse_members(const json& other, std::vector<std::string>& unknown_strings) {
  json judged = json::object();
  for (const auto& [name, value] : other.items()) {
    const bool known =
        std::ranges::find(kMemberKeys, name, &DeclaredKey::name) != kMemberKeys.end();
    if (!known && value.is_string()) {
      unknown_strings.push_back(name);
    } else {
      judged[name] = value;
    }
  }
  return refuse_keys(judged, kMemberKeys);
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
  std::vector<std::string> unknown;
  const std::string refusal = refuse_members(declaration.description.other, unknown);
  for (const auto& [name, type] : declaration.description.types) {
    if (type == kModelSlimFloat) continue;
    if (const auto attention = strip_suffix(name, kAttentionType)) {
      declaration.attention.emplace(*attention, type);
    } else if (is_attention_module(name)) {
      declaration.attention.emplace(name, type);
    } else if (const auto layer = strip_suffix(name, ".weight")) {
      QuantizedLayer entry{.type = type, .element = modelslim_element(type)};
      if (entry.element && !refusal.empty()) {
        entry.element.reset();
        entry.refusal = refusal;
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
