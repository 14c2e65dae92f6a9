// mxvideo quantize: the linear layers of a float model to MXFP8 or MXINT8, into a model of a chosen
// layout.
// The same bits as the online scheme gives with the same options. Not thread-safe.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "convert/conversion.h"
#include "convert/layout.h"
#include "convert/model_source.h"
#include "formats/mx_block.h"

namespace mxvideo::convert {

struct QuantizeOptions {
  ModelInputs model;
  // A Diffusers directory with the rest of the model; for a source that is none.
  std::filesystem::path original;
  std::optional<checkpoint::WanVariant> model_type;
  formats::MxOptions mx;                    // the element too
  std::vector<std::string> ignored_layers;  // globs over canonical layer names
  std::optional<double> min_sqnr_db;
  OutputOptions output;
};

// The summary of the run: what run_conversion() says, the options, and per component the reports of
// its layers and their total under "layers" and "total"; without them for a dry run.
//
// Everything is checked before a byte is written. Throws Code::kInvalidArgument for a model that is
// quantized already, for globs that match no layer, for a layout that cannot hold the format or
// that needs --original-model-path; Code::kUnsupported for layers whose in_features are no multiple
// of 32; Code::kCorruptFile for tensors that do not fit the model and for NaN or infinity in a
// weight; Code::kMismatch for experts that are exchanged in the original, and when layers have less
// than min_sqnr_db (nothing is committed; a rerun reuses what was written).
nlohmann::ordered_json quantize_model(const QuantizeOptions& options, const ConvertHooks& hooks);

// One table per component, from what quantize_model() returned.
std::string quantize_report_table(const nlohmann::ordered_json& result);

}  // namespace mxvideo::convert
