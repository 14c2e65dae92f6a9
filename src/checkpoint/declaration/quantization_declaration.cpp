#include "checkpoint/declaration/quantization_declaration.h"

#include "base/text/quote.h"

namespace mxvideo::checkpoint {

std::string_view quantization_source_name(QuantizationSource source) {
  switch (source) {
    case QuantizationSource::kNone:
      return "none";
    case QuantizationSource::kModelSlim:
      return "modelslim";
    case QuantizationSource::kConfigJson:
      return "config.json";
    case QuantizationSource::kComfy:
      return "comfy";
  }
  return "unknown";
}

DType stored_dtype(formats::MxElement element) {
  return element == formats::MxElement::kInt8 ? DType::kI8 : DType::kF8E4M3;
}

std::string unsupported_kind(const QuantizedLayer& layer) {
  std::string kind = printable(layer.type, 64);
  if (!layer.refusal.empty()) kind += " with " + layer.refusal;
  return kind;
}

}  // namespace mxvideo::checkpoint
