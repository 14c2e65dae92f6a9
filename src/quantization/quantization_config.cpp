#include "quantization/quantization_config.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/text/field.h"
#include "base/text/format.h"
#include "base/text/glob.h"
#include "base/text/nearest_name.h"
#include "base/text/quote.h"
#include "quantization/mx_linear.h"
#include "quantization/mx_offline.h"
#include "quantization/unquantized.h"

namespace mxvideo::quantization {
namespace {

constexpr const char* kModelSlim = "modelslim";
constexpr std::array kSchemes = {
    SchemeEntry{kNoScheme, "weights as stored, fp32 activations"},
    SchemeEntry{kSmallScheme,
                "MXFP8 (E4M3, E8M0 per 32) weights quantized while loading, activations per call",
                formats::MxElement::kE4m3},
    SchemeEntry{"mxint8", "the same with INT8 elements: as many bytes, about 10 dB less noise",
                formats::MxElement::kInt8},
    SchemeEntry{kModelSlim, "as quant_model_description*.json in the model says, layer by layer"},
};

const SchemeEntry* find_scheme(std::string_view name) {
  const auto* found = std::ranges::find(kSchemes, name, &SchemeEntry::name);
  return found == kSchemes.end() ? nullptr : found;
}

const char* format_in_capitals(formats::MxElement element) {
  return element == formats::MxElement::kInt8 ? "MXINT8" : "MXFP8";
}

std::string ignored_reason(const std::string& glob) { return "ignored by '" + glob + "'"; }

class NoQuantization final : public QuantizationConfig {
 public:
  std::string_view name() const override { return kNoScheme; }
  std::unique_ptr<LinearMethod> make_linear(const std::string& layer, const LinearShape& shape,
                                            bool /*quantizable*/) const override {
    return std::make_unique<UnquantizedLinear>(layer, shape, "");
  }
};

class OnlineMx final : public QuantizationConfig {
 public:
  explicit OnlineMx(QuantizationOptions options)
      : options_(std::move(options)), mx_(mx_options(options_)) {}

  std::string_view name() const override { return formats::mx_format_name(mx_.element); }

  std::unique_ptr<LinearMethod> make_linear(const std::string& layer, const LinearShape& shape,
                                            bool quantizable) const override {
    if (!quantizable) {
      return std::make_unique<UnquantizedLinear>(layer, shape, "kept in high precision by policy");
    }
    if (const std::string* glob = find_ignoring_glob(options_.ignored_layers, layer)) {
      return std::make_unique<UnquantizedLinear>(layer, shape, ignored_reason(*glob));
    }
    return std::make_unique<OnlineMxLinear>(layer, shape, mx_);
  }

 private:
  QuantizationOptions options_;
  formats::MxOptions mx_;
};

// Layer by layer as the files say.
class DeclaredQuantization final : public QuantizationConfig {
 public:
  DeclaredQuantization(QuantizationOptions options,
                       const checkpoint::QuantizationDeclaration& declared)
      : options_(std::move(options)), declared_(declared) {}

  std::string_view name() const override { return quantization_source_name(declared_.source); }

  std::unique_ptr<LinearMethod> make_linear(const std::string& layer, const LinearShape& shape,
                                            bool quantizable) const override {
    const auto found = declared_.layers.find(layer);
    if (found == declared_.layers.end()) {
      return std::make_unique<UnquantizedLinear>(
          layer, shape, quantizable ? "stored unquantized" : "kept in high precision by policy");
    }
    const formats::MxElement element = found->second.element.value();  // else refused before
    std::string reason;
    if (const std::string* glob = find_ignoring_glob(options_.ignored_layers, layer)) {
      reason = ignored_reason(*glob);
    } else if (!found->second.weight_only.empty()) {
      reason = "declared '" + printable(found->second.weight_only) + "'";
    }
    if (!reason.empty()) {
      return std::make_unique<DequantizedMxLinear>(layer, shape, declared_.scale_layout, element,
                                                   reason + ": stored as " +
                                                       format_in_capitals(element) +
                                                       ", computed with the decoded weight");
    }
    formats::MxOptions mx = options_.mx;
    mx.element = element;
    if (found->second.activation_rule) mx.scale_rule = found->second.activation_rule->rule;
    return std::make_unique<OfflineMxLinear>(layer, shape, declared_.scale_layout, mx);
  }

  void declare_companions(checkpoint::ParameterLoader& loader) const override {
    for (const std::string& name : declared_.companions) loader.ignore(name);
  }

 private:
  QuantizationOptions options_;
  checkpoint::QuantizationDeclaration declared_;
};

// The types that run, in the words of the files.
std::string_view known_types(checkpoint::QuantizationSource source) {
  switch (source) {
    case checkpoint::QuantizationSource::kComfy:
      return "of ComfyUI's format mxfp8 or not quantized";
    case checkpoint::QuantizationSource::kConfigJson:
      return "in MXFP8 or not quantized";
    default:
      return "of type FLOAT, W8A8_MXFP8 or W8A8_MXINT8";
  }
}

// Layers that no kernel computes, by type and reason.
void refuse_unknown_types(const checkpoint::QuantizationDeclaration& declared) {
  std::map<std::string, std::vector<std::string>> layers_of_kind;
  for (const auto& [name, layer] : declared.layers) {
    if (!layer.element) layers_of_kind[checkpoint::unsupported_kind(layer)].push_back(name);
  }
  if (layers_of_kind.empty()) return;
  std::string what;
  for (const auto& [kind, layers] : layers_of_kind) {
    what += (what.empty() ? "" : "; ") + kind + " (" + count_of(std::ssize(layers), "layer") +
            ": " + name_list(layers, 5) + ")";
  }
  throw Error(Code::kUnsupported, declared.origin + ": expected layers " +
                                      std::string(known_types(declared.source)) + ", got " + what);
}

bool quantizes_online(const QuantizationOptions& options) {
  return scheme_element(options.scheme).has_value();
}

// Layers that the files hold in the format that was not asked for.
void refuse_other_element(const QuantizationOptions& options,
                          const checkpoint::QuantizationDeclaration& declared) {
  if (!quantizes_online(options)) return;
  const formats::MxElement asked = mx_options(options).element;
  const auto other = std::ranges::find_if(
      declared.layers, [&](const auto& entry) { return entry.second.element != asked; });
  if (other == declared.layers.end()) return;
  throw Error(Code::kInvalidArgument,
              field("quantization") + " " + options.scheme + " contradicts " + declared.origin +
                  ", by which the weights are " +
                  format_in_capitals(other->second.element.value()) + " already (" + other->first +
                  "); leave it out, or quantize the original weights");
}

bool ignores(const QuantizationOptions& options, const std::string& layer) {
  return find_ignoring_glob(options.ignored_layers, layer) != nullptr;
}

// Layers whose activations get their scales by another rule than that of `options`, by what
// declares it.
std::map<std::string, std::pair<formats::ScaleRule, int64_t>> other_rules(
    const QuantizationOptions& options, const checkpoint::QuantizationDeclaration& declared) {
  std::map<std::string, std::pair<formats::ScaleRule, int64_t>> rules;
  for (const auto& [name, layer] : declared.layers) {
    const auto& declared_rule = layer.activation_rule;
    if (!declared_rule || declared_rule->rule == options.mx.scale_rule) continue;
    if (ignores(options, name)) continue;
    auto& [rule, layers] = rules[declared_rule->declaration];
    rule = declared_rule->rule;
    ++layers;
  }
  return rules;
}

// The default is nobody's wish.
void refuse_other_rule(const QuantizationOptions& options,
                       const checkpoint::QuantizationDeclaration& declared) {
  if (options.mx.scale_rule == formats::MxOptions{}.scale_rule) return;
  const auto rules = other_rules(options, declared);
  if (rules.empty()) return;
  const auto& [declaration, rule] = *rules.begin();
  throw Error(Code::kInvalidArgument,
              field("mx_scale_rule") + " " +
                  std::string(formats::scale_rule_name(options.mx.scale_rule)) + " contradicts " +
                  declared.origin + ": '" + printable(declaration) +
                  "', by which activations get their scales by the rule " +
                  std::string(formats::scale_rule_name(rule.first)) + "; leave it out");
}

// Layers whose weights are quantized and whose activations are not, by what declares it.
std::vector<std::string> weight_only_notices(const QuantizationOptions& options,
                                             const checkpoint::QuantizationDeclaration& declared) {
  struct Sum {
    int64_t layers = 0, weights = 0;
  };
  std::map<std::string, Sum> sums;
  for (const auto& [name, layer] : declared.layers) {
    if (layer.weight_only.empty()) continue;
    if (ignores(options, name)) continue;
    Sum& sum = sums[layer.weight_only];
    ++sum.layers;
    sum.weights += layer.weights;
  }
  std::vector<std::string> notices;
  for (const auto& [declaration, sum] : sums) {
    const int64_t stored = sum.weights + sum.weights / formats::kMxBlockSize;
    notices.push_back(
        declared.origin + ": '" + printable(declaration) + "': " + count_of(sum.layers, "layer") +
        (sum.layers == 1 ? " multiplies" : " multiply") +
        " activations that are not quantized by weights decoded while loading: " +
        format_bytes(sum.weights * 2) + " in memory for " + format_bytes(stored) + " in the files");
  }
  return notices;
}

std::string attention_notice(const checkpoint::QuantizationDeclaration& declared) {
  std::map<std::string, int> blocks_of_type;
  for (const auto& [name, type] : declared.attention) ++blocks_of_type[type];
  std::string types;
  for (const auto& [type, count] : blocks_of_type) {
    types += (types.empty() ? "" : ", ") + std::to_string(count) + " x " + printable(type, 64);
  }
  return declared.origin + " declares quantized attention (" + types +
         "); it is computed in fp32, which needs neither its scales nor its rotations";
}

void check_scheme(const QuantizationOptions& options) {
  if (!options.scheme.empty() && find_scheme(options.scheme) == nullptr) {
    throw Error(Code::kInvalidArgument, field("quantization") + ": unknown scheme '" +
                                            options.scheme + "'; expected one of " +
                                            join_names(scheme_names(SchemeSet::kAll)));
  }
}

ResolvedQuantization resolve_declared(const QuantizationOptions& options,
                                      const checkpoint::QuantizationDeclaration& declared) {
  if (options.scheme == kNoScheme) {
    throw Error(Code::kInvalidArgument,
                field("quantization") + " none contradicts " + declared.origin +
                    ", by which the weights are quantized; leave it out, or compute layers " +
                    "with decoded weights by " + field("quantization_ignored_layers"));
  }
  if (options.scheme == kModelSlim &&
      declared.source != checkpoint::QuantizationSource::kModelSlim) {
    throw Error(Code::kInvalidArgument,
                field("quantization") + " modelslim contradicts " + declared.origin +
                    ", which declares the quantization otherwise; leave it out");
  }
  refuse_unknown_types(declared);
  refuse_other_element(options, declared);
  refuse_other_rule(options, declared);
  ResolvedQuantization resolved;
  if (quantizes_online(options)) {
    resolved.notices.push_back("the weights are quantized already, as " + declared.origin +
                               " declares; " + field("quantization") + " " + options.scheme +
                               " quantizes nothing again");
  }
  if (options.mx.scale_rule != formats::MxOptions{}.scale_rule) {
    resolved.notices.push_back(field("mx_scale_rule") + " " +
                               std::string(formats::scale_rule_name(options.mx.scale_rule)) +
                               " applies to activations; the weights keep the scales of the files");
  }
  if (!declared.attention.empty()) resolved.notices.push_back(attention_notice(declared));
  for (std::string& notice : activation_notices(options, declared)) {
    resolved.notices.push_back(std::move(notice));
  }
  resolved.notices.insert(resolved.notices.end(), declared.notices.begin(), declared.notices.end());
  resolved.config = std::make_unique<DeclaredQuantization>(options, declared);
  return resolved;
}

}  // namespace

std::span<const SchemeEntry> quantization_schemes() { return kSchemes; }

std::vector<std::string> scheme_names(SchemeSet set) {
  std::vector<std::string> names;
  for (const SchemeEntry& entry : kSchemes) {
    const bool quantizing = entry.element.has_value();
    const bool declared = !quantizing && quantizes(entry.name);
    if (set == SchemeSet::kQuantizing ? !quantizing : set == SchemeSet::kUndeclared && declared) {
      continue;
    }
    names.emplace_back(entry.name);
  }
  return names;
}

bool quantizes(std::string_view scheme) { return !scheme.empty() && scheme != kNoScheme; }

std::optional<formats::MxElement> scheme_element(std::string_view scheme) {
  const SchemeEntry* entry = find_scheme(scheme);
  return entry == nullptr ? std::nullopt : entry->element;
}

formats::MxOptions mx_options(const QuantizationOptions& options) {
  formats::MxOptions mx = options.mx;
  mx.element = scheme_element(options.scheme).value_or(mx.element);
  return mx;
}

ResolvedQuantization resolve_quantization(const QuantizationOptions& options,
                                          const checkpoint::QuantizationDeclaration& declared) {
  check_scheme(options);
  if (declared.quantized()) return resolve_declared(options, declared);
  if (options.scheme == kModelSlim) {
    throw Error(Code::kInvalidArgument,
                field("quantization") +
                    " modelslim: the model has no quant_model_description*.json; " +
                    field("quantization") + " mxfp8 quantizes while loading");
  }
  ResolvedQuantization resolved;
  if (quantizes_online(options)) {
    resolved.config = std::make_unique<OnlineMx>(options);
    return resolved;
  }
  if (!options.ignored_layers.empty()) {
    throw Error(Code::kInvalidArgument, field("quantization_ignored_layers") + " needs a " +
                                            field("quantization") +
                                            " scheme or a quantized "
                                            "model; got neither");
  }
  resolved.config = std::make_unique<NoQuantization>();
  return resolved;
}

std::vector<std::string> activation_notices(const QuantizationOptions& options,
                                            const checkpoint::QuantizationDeclaration& declared) {
  std::vector<std::string> notices = weight_only_notices(options, declared);
  for (const auto& [declaration, rule] : other_rules(options, declared)) {
    notices.push_back(declared.origin + ": '" + printable(declaration) + "': the activations of " +
                      count_of(rule.second, "layer") + " get their scales by the rule " +
                      std::string(formats::scale_rule_name(rule.first)));
  }
  return notices;
}

std::unique_ptr<QuantizationConfig> make_quantization_config(const QuantizationOptions& options) {
  return resolve_quantization(options, {}).config;
}

const std::string* find_ignoring_glob(const std::vector<std::string>& globs,
                                      std::string_view layer) {
  const auto found =
      std::ranges::find_if(globs, [&](const std::string& glob) { return glob_match(glob, layer); });
  return found == globs.end() ? nullptr : &*found;
}

}  // namespace mxvideo::quantization
