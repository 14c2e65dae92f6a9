#include "checkpoint/declaration/comfy_declaration.h"

#include <algorithm>

#include "base/error.h"
#include "base/text/format.h"
#include "base/text/quote.h"
#include "checkpoint/comfy_quant.h"
#include "checkpoint/declaration/declared_keys.h"
#include "checkpoint/safetensors.h"

namespace mxvideo::checkpoint {
namespace {

std::string_view text_of(const TensorView& view) {
  return {reinterpret_cast<const char*>(view.data), static_cast<size_t>(view.bytes())};
}

class MarkerReader {
 public:
  explicit MarkerReader(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  void read_tensors() {
    for (const auto& [name, tensor] : checkpoint_.tensors()) {
      if (!name.ends_with(kComfyQuantSuffix) || name.size() == kComfyQuantSuffix.size()) continue;
      const std::string origin = checkpoint_.description() + ": tensor " + printable(name);
      if (tensor.view.dtype != DType::kU8) {
        throw Error(Code::kCorruptFile, origin + ": expected U8 [bytes], got " +
                                            std::string(dtype_name(tensor.view.dtype)) + " " +
                                            tensor.view.shape.to_string());
      }
      add(name.substr(0, name.size() - kComfyQuantSuffix.size()),
          parse_comfy_marker(text_of(tensor.view), origin));
      declaration_.companions.push_back(name);
    }
  }

  void read_metadata(NamingStyle style) {
    for (const SafetensorsFile* file : checkpoint_.files()) {
      const auto found = file->metadata().find(std::string(kComfyMetadataKey));
      if (found == file->metadata().end()) continue;
      const std::string origin = file->path().string() + ": metadata " + found->first;
      for (const auto& [name, marker] : parse_comfy_metadata(found->second, origin)) {
        add(canonical_transformer_name(name, style), marker);
      }
    }
  }

  QuantizationDeclaration take() {
    if (markers_.empty()) return {};
    declaration_.source = QuantizationSource::kComfy;
    declaration_.origin = checkpoint_.description() + " (comfy_quant)";
    declaration_.scale_layout = formats::ScaleLayout::kSwizzled;
    for (const auto& [layer, marker] : markers_) {
      declaration_.layers.emplace(layer, quantized_layer(layer, marker));
    }
    note_scalars();
    return std::move(declaration_);
  }

 private:
  void add(const std::string& layer, const ComfyMarker& marker) {
    const auto [position, inserted] = markers_.emplace(layer, marker);
    if (inserted || position->second == marker) return;
    throw Error(Code::kCorruptFile, checkpoint_.description() + ": layer " + printable(layer) +
                                        ": comfy_quant says both '" +
                                        printable(position->second.text()) + "' and '" +
                                        printable(marker.text()) + "'");
  }

  QuantizedLayer quantized_layer(const std::string& layer, const ComfyMarker& marker) const {
    QuantizedLayer result{.type = marker.format, .refusal = marker.refusal};
    const auto weight = checkpoint_.tensors().find(layer + ".weight");
    if (!marker.orig_shape.empty() && weight != checkpoint_.tensors().end() &&
        !std::ranges::equal(weight->second.view.shape.dims(), marker.orig_shape)) {
      join_refusal(
          result.refusal,
          refuse_value("orig_shape", weight->second.view.shape.to_string() + " of the weight",
                       marker.orig_shape));
    }
    if (!marker.is_mxfp8() || !result.refusal.empty()) return result;
    result.element = formats::MxElement::kE4m3;
    if (marker.full_precision) result.weight_only = std::string(kComfyFullPrecision) + ": true";
    return result;
  }

  // Of hybrid_mxfp8: a scale for a whole tensor, in place of the blocks' on hardware without MXFP8.
  void note_scalars() {
    int64_t scalars = 0;
    for (const auto& [layer, marker] : markers_) {
      const std::string name = layer + std::string(kComfyWeightScalar);
      if (marker.format != kComfyHybridMxfp8 || !checkpoint_.tensors().contains(name)) continue;
      declaration_.companions.push_back(name);
      ++scalars;
    }
    if (scalars == 0) return;
    declaration_.notices.push_back(
        declaration_.origin + ": " + count_of(scalars, "tensor") + " weight_scalar left out: " +
        "hybrid_mxfp8 has them for hardware without MXFP8, the blocks' scales are read");
  }

  const Checkpoint& checkpoint_;
  std::map<std::string, ComfyMarker> markers_;  // by canonical name
  QuantizationDeclaration declaration_;
};

}  // namespace

QuantizationDeclaration comfy_declaration(const Checkpoint& checkpoint, NamingStyle style) {
  MarkerReader reader(checkpoint);
  reader.read_tensors();
  reader.read_metadata(style);
  return reader.take();
}

}  // namespace mxvideo::checkpoint
