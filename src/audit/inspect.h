// What the files of a model hold: tensors, types, sizes, quantization as declared and as a run
// would take it. Reads headers and declarations, no weights. Thread-safe: no state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "audit/model_parts.h"
#include "formats/dtype.h"
#include "tensor/shape.h"

namespace mxvideo::audit {

struct TensorTotals {
  int64_t tensors = 0;
  int64_t bytes = 0;
};

struct InspectedFile {
  std::filesystem::path path;
  TensorTotals totals;
  int64_t file_bytes = 0;
};

struct InspectedTensor {
  std::string name;  // Hugging Face style
  DType dtype = DType::kF32;
  Shape shape;
  std::string file;
};

// One linear layer of a transformer.
struct InspectedLayer {
  std::string name;
  // Type in the words of the files, "mxfp8 (weights only)"; "FLOAT" when none is declared.
  std::string declared;
  // What generate runs: "none", "mxfp8", "mxint8"; "unsupported" for what it does not.
  std::string scheme;
  std::string reason;      // why not quantized, or not supported; may be empty
  double weight_bits = 0;  // per weight in memory, scales included
};

struct InspectedPart {
  ModelPart part;
  std::string family;  // what it is, by its tensors; empty when nothing known
  // What keeps it from running, as a run would say it; empty: nothing that the headers tell.
  std::vector<std::string> problems;
  bool readable = true;  // false: its files cannot be parsed, and nothing of them is listed
  TensorTotals totals;
  std::vector<InspectedFile> files;
  std::map<std::string, TensorTotals> dtypes;  // "BF16" -> …
  std::vector<InspectedTensor> tensors;
  // Transformers only.
  std::string naming_style;  // "diffusers" or "original"
  std::string source, origin, scale_layout;
  std::vector<InspectedLayer> layers;
  std::vector<std::string> companions;
  std::vector<std::string> notices;      // what of the files a run says to its user
  std::vector<std::string> unsupported;  // kinds of layers that do not run, with their numbers
  std::map<std::string, std::string> attention;
  double stored_bits_per_weight = 0;  // of linear layers, scales included
};

struct Inspection {
  std::vector<InspectedPart> parts;
  // What keeps the whole from being a model that runs; then the parts are what is found below it.
  std::vector<std::string> problems;

  bool runs() const;  // as far as the headers tell
};

// Lists whatever can be parsed, runnable or not. Throws only when there is nothing to list:
// Code::kNotFound, kCorruptFile, kUnsupported as opening would.
Inspection inspect_model(const std::filesystem::path& path);

// "attn1.to_q" -> "W8A8_MXFP8" -> number of blocks.
std::map<std::string, std::map<std::string, int64_t>> declared_by_layer(const InspectedPart& part);

struct InspectDetail {
  bool layers = false;
  bool tensors = false;
};
nlohmann::ordered_json inspect_json(const Inspection& inspection, const InspectDetail& detail);

}  // namespace mxvideo::audit
