// The schemes that one evaluation compares, as a command line lists them:
// "none,mxfp8:floor,mxfp8+int8-attention". Pure functions; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pipeline/engine.h"
#include "quantization/quantization_config.h"

namespace mxvideo::evaluation {

struct SchemeVariant {
  std::string name;  // as it was written, in lower case; what results are listed under
  quantization::QuantizationOptions options;
  bool int8_attention = false;  // whatever the other runs have

  void apply(pipeline::PipelineOptions& pipeline) const;
};

// Items separated by commas, in any case: a name of quantization_schemes(), then optionally ':' and
// the rule of the block scales (formats::parse_scale_rule; without it rceil), then optionally
// "+int8-attention". Throws Code::kInvalidArgument for an empty list or item, an unknown scheme or
// rule (naming the known ones), a rule for "none", and a scheme listed twice, also under two
// spellings.
std::vector<SchemeVariant> parse_scheme_variants(std::string_view list);

}  // namespace mxvideo::evaluation
