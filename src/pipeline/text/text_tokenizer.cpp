#include "pipeline/text/text_tokenizer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "checkpoint/checkpoint.h"
#include "checkpoint/wan/key_map.h"

namespace mxvideo::pipeline {
namespace {

namespace fs = std::filesystem;
using checkpoint::Checkpoint;
using tokenizer::Umt5Tokenizer;

bool holds_tokenizer(const fs::path& folder) {
  constexpr std::array kFiles = {"spiece.model", "tokenizer.json"};
  return std::ranges::any_of(kFiles, [&](const char* file) { return fs::exists(folder / file); });
}

// From the tensor of the text encoder; nullopt without one.
std::optional<Umt5Tokenizer> tokenizer_of_encoder(const fs::path& encoder, const fs::path& folder) {
  Checkpoint files = fs::is_directory(encoder) ? Checkpoint::open_directory(encoder)
                                               : Checkpoint::open_file(encoder);
  checkpoint::normalize_names(files, checkpoint::Component::kTextEncoder);
  const auto found = files.tensors_set_aside().find("spiece_model");
  if (found == files.tensors_set_aside().end()) return std::nullopt;
  const TensorView& view = found->second.view;
  return Umt5Tokenizer::parse(
      {reinterpret_cast<const char*>(view.data), static_cast<size_t>(view.bytes())},
      files.description() + ": tensor spiece_model", folder);
}

}  // namespace

fs::path tokenizer_folder(const checkpoint::ModelDirectory& model) {
  return model.has("tokenizer") ? model.path("tokenizer") : model.root / "tokenizer";
}

Umt5Tokenizer open_tokenizer(const checkpoint::ModelDirectory& model) {
  const fs::path folder = tokenizer_folder(model);
  if (!holds_tokenizer(folder) && model.has("text_encoder")) {
    if (auto found = tokenizer_of_encoder(model.path("text_encoder"), folder)) {
      return *std::move(found);
    }
  }
  return Umt5Tokenizer::open(model.path("tokenizer"));
}

}  // namespace mxvideo::pipeline
