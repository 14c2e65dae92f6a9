// mxvideo repack: a model from one layout into another, bit for bit: msmodelslim's export,
// Diffusers (quantized or not), original Wan, ComfyUI files. Not thread-safe. Source of the flags
// and of what has to happen: SGLang tools/wan_repack.py.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "convert/conversion.h"
#include "convert/layout.h"
#include "convert/model_source.h"

namespace mxvideo::convert {

struct RepackOptions {
  ModelInputs quant;               // --quant-path, or the files of both experts
  std::filesystem::path original;  // the float model that the export was made from; may be empty
  std::optional<checkpoint::WanVariant> model_type;
  bool verify = false;  // read the output again and compare every tensor before it is committed
  OutputOptions output;
};

// The summary of the run: what run_conversion() says, and per component "overlaid", the names of
// the float tensors that the export omits and that came from the original.
//
// Everything is checked before a byte is written: that both experts are there and not swapped, the
// key set after the overlay, the scales, that every name of a description is a tensor. Throws
// Code::kNotFound, Code::kCorruptFile, Code::kInvalidArgument (a flag that contradicts the files,
// or an original that is needed), Code::kUnsupported (types other than MXFP8 and MXINT8, a layout
// that cannot hold a layer), Code::kMismatch
// (swapped experts; --verify), Code::kIo, Code::kCancelled.
nlohmann::ordered_json repack_model(const RepackOptions& options, const ConvertHooks& hooks);

}  // namespace mxvideo::convert
