// What a "quantization_config" says, before the tensors are looked at, and its four dialects. Each
// reader has a table of its dialect's keys (declared_keys.h). Thread-safe: no state.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/text/json.h"
#include "checkpoint/declaration/quantization_declaration.h"

namespace mxvideo::checkpoint {

// Which layers a config means.
class LayerPattern {
 public:
  static LayerPattern all();
  // A layer, everything under a module of that name, or a glob.
  static LayerPattern module(std::string text);
  // Throws Code::kCorruptFile when `text` is no regular expression. `anchored`: it has to match
  // from the beginning of the name, as Python's re.match().
  static LayerPattern regex(const std::string& text, bool anchored, const std::string& origin);

  // `canonical` itself or, for files of original names, the original of it.
  bool matches(const std::string& canonical) const;

 private:
  std::function<bool(const std::string&)> match_;
};

// Layers without a type and without an element are not quantized.
struct ConfigRule {
  std::vector<LayerPattern> layers;
  QuantizedLayer scheme;
};

struct ConfigScheme {
  std::vector<ConfigRule> rules;  // the first that matches a layer says what it is
  std::vector<LayerPattern> ignored;
};

// A layer of MXFP8, unless `refusal` says why it is none that runs.
QuantizedLayer mxfp8_layer(std::string type, std::string refusal, std::string weight_only = "");

// The strings of an array; empty when the field is absent. Throws Code::kCorruptFile.
std::vector<std::string> string_list(const JsonFields& fields, const std::string& key);
// LayerPattern::module() of each; "re:…" as compressed-tensors writes regular expressions.
std::vector<LayerPattern> layer_patterns(const JsonFields& fields, const std::string& key);

// quant_method "mxfp8": SGLang's MXFP8Config, vLLM-Omni's DiffusionMXFP8Config.
ConfigScheme read_mxfp8_config(const JsonFields& fields);
// quant_method "compressed-tensors": llm-compressor. Source: compressed_tensors quantization/
// quant_config.py, quant_scheme.py, quant_args.py, with their defaults.
ConfigScheme read_compressed_tensors(const JsonFields& fields);
// quant_method "modelopt", and the file hf_quant_config.json. Source: Model-Optimizer
// modelopt/torch/export/convert_hf_config.py, quant_utils.py; vLLM and SGLang modelopt.
ConfigScheme read_modelopt(const JsonFields& fields);
// quant_method "auto-round". Source: auto_round export_to_autoround/export_to_nvfp_mxfp.py,
// schemes.py, data_type/mxfp.py (which type has which rule of scales), utils
// (filter_quantization_config: act_bits of 16 and more is left out).
ConfigScheme read_auto_round(const JsonFields& fields);

}  // namespace mxvideo::checkpoint
