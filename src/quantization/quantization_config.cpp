#include "quantization/quantization_config.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "quantization/mxfp8.h"
#include "quantization/unquantized.h"

namespace mxvideo::quantization {
namespace {

class NoQuantization final : public QuantizationConfig {
 public:
  std::string_view name() const override { return "none"; }
  std::unique_ptr<LinearMethod> make_linear(const std::string& layer, const LinearShape& shape,
                                            bool /*quantizable*/) const override {
    return std::make_unique<UnquantizedLinear>(layer, shape, "");
  }
};

class Mxfp8Config final : public QuantizationConfig {
 public:
  explicit Mxfp8Config(QuantizationOptions options) : options_(std::move(options)) {}

  std::string_view name() const override { return "mxfp8"; }

  std::unique_ptr<LinearMethod> make_linear(const std::string& layer, const LinearShape& shape,
                                            bool quantizable) const override {
    if (!quantizable) {
      return std::make_unique<UnquantizedLinear>(layer, shape, "kept in high precision by policy");
    }
    for (const std::string& pattern : options_.ignored_layers) {
      if (glob_match(pattern, layer)) {
        return std::make_unique<UnquantizedLinear>(layer, shape, "ignored by '" + pattern + "'");
      }
    }
    return std::make_unique<Mxfp8Linear>(layer, shape, options_.mx);
  }

 private:
  QuantizationOptions options_;
};

constexpr std::array kSchemes = {
    SchemeEntry{"none", "weights as stored, fp32 activations",
                [](const QuantizationOptions&) -> std::unique_ptr<QuantizationConfig> {
                  return std::make_unique<NoQuantization>();
                }},
    SchemeEntry{"mxfp8",
                "MXFP8 (E4M3, E8M0 per 32) weights quantized while loading, activations "
                "per call",
                [](const QuantizationOptions& options) -> std::unique_ptr<QuantizationConfig> {
                  return std::make_unique<Mxfp8Config>(options);
                }},
};

std::string known_schemes() {
  std::string names;
  for (const SchemeEntry& entry : kSchemes)
    names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

}  // namespace

std::span<const SchemeEntry> quantization_schemes() { return kSchemes; }

std::unique_ptr<QuantizationConfig> make_quantization_config(const QuantizationOptions& options) {
  const auto* entry = std::ranges::find_if(
      kSchemes, [&](const SchemeEntry& scheme) { return options.scheme == scheme.name; });
  if (entry == kSchemes.end()) {
    throw Error(Code::kInvalidArgument, "--quantization: unknown scheme '" + options.scheme +
                                            "'; expected one of " + known_schemes());
  }
  if (options.scheme == "none" && !options.ignored_layers.empty()) {
    throw Error(Code::kInvalidArgument,
                "--quantization-ignored-layers needs a --quantization scheme; got none");
  }
  return entry->make(options);
}

bool glob_match(std::string_view pattern, std::string_view text) {
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;  // last '*' seen, and where the text was then
  size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace mxvideo::quantization
