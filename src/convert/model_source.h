// The experts of a model that is read, in any layout, and which Wan2.2 it is. Move-only;
// thread-safe for reading.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/wan/model_index.h"
#include "convert/transformer_source.h"

namespace mxvideo::convert {

// What a request names: a directory or a file, or the files of the two experts.
struct ModelInputs {
  std::filesystem::path path;
  std::filesystem::path high_noise, low_noise;
  std::string path_field = "model_path";  // for messages
};

// The model of --original-model-path.
ModelInputs original_inputs(const std::filesystem::path& path);

struct ModelSource {
  checkpoint::WanVariant variant = checkpoint::WanVariant::kT2V;
  std::vector<TransformerSource> experts;  // transformer first
  // Where everything that is no transformer lies; empty unless the source is a Diffusers directory.
  std::filesystem::path diffusers_root;

  bool quantized() const;
  // What of the files is read and has no effect, line by line.
  std::vector<std::string> notices() const;
  // nullptr when there is no such expert.
  const TransformerSource* expert(const std::string& component) const;
};

// Throws Code::kNotFound naming what was expected (both experts of an A14B before anything else is
// looked at), Code::kInvalidArgument when `expected` is another model than the files hold, flags
// contradict each other, names say that the experts are exchanged or both are one and the same, and
// what open_transformer_source() throws.
ModelSource open_model_source(const ModelInputs& inputs,
                              std::optional<checkpoint::WanVariant> expected);

// Throws Code::kMismatch when the float tensors of the experts are those of the original's other
// expert; nothing is compared where either has one only.
void check_expert_order(const ModelSource& model, const ModelSource& original);

}  // namespace mxvideo::convert
