// One expert of a model that is read: its tensors under canonical names, what it declares about its
// quantization, and its config, read or inferred from the shapes. Thread-safe for reading.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/transformer_checkpoint.h"
#include "checkpoint/wan/experts.h"
#include "models/wan_transformer/wan_transformer.h"

namespace mxvideo::convert {

using checkpoint::kHighNoiseExpert;
using checkpoint::kLowNoiseExpert;

struct TransformerConfig {
  nlohmann::json json;         // in the words of Diffusers
  std::string origin;          // for messages
  std::filesystem::path file;  // config.json; empty when inferred
  bool of_wan_model = false;   // the file is an original WanModel's
  // False when inferred and dim is no multiple of 128, the head size of every Wan: then the config
  // serves to check tensors but cannot be written.
  bool heads_known = true;
  models::WanTransformerConfig sizes;
};

struct TransformerSource {
  std::string component;          // kHighNoiseExpert or kLowNoiseExpert
  std::filesystem::path weights;  // directory or file
  checkpoint::TransformerCheckpoint opened;
  TransformerConfig config;

  const std::map<std::string, checkpoint::StoredTensor, std::less<>>& tensors() const {
    return opened.checkpoint.tensors();
  }
  bool quantized() const { return opened.quantization.quantized(); }
};

// Throws what open_transformer_checkpoint() throws and Code::kCorruptFile for a config that makes
// no sense or, without one, for tensors that do not tell the sizes.
TransformerSource open_transformer_source(std::string component,
                                          const std::filesystem::path& weights);

// The declared linear layers that are stored as MXFP8 or MXINT8.
using MxLayers = std::map<std::string, formats::MxElement>;
MxLayers mx_layers(const TransformerSource& source);

// Every tensor that the transformer of this config needs, quantized as `source` declares.
std::vector<checkpoint::ParameterSpec> expected_tensors(const TransformerSource& source,
                                                        const models::WanTransformerConfig& config);

// Throws one Code::kCorruptFile that lists missing, unexpected, mistyped and misshapen tensors
// and scales that are NaN;
// `provided` names those that come from elsewhere. Code::kUnsupported names layers of a type that
// mxvideo cannot convert.
void check_transformer_tensors(const TransformerSource& source,
                               const models::WanTransformerConfig& config,
                               const std::set<std::string>& provided = {});

}  // namespace mxvideo::convert
