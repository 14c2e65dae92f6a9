// Prompt embeddings on disk, so that a prompt that was encoded before needs no text encoder.
//
// One safetensors file per embedding, named after the SHA-256 of its key. The key is everything on
// which the bits depend: the token ids and an identity of what encodes them (TextEncoderSource). It
// stands in the file's metadata in full, beside the SHA-256 of the data; a file in which anything
// differs is not used. Files appear whole (base/file/atomic_file.h), so that processes may share a
// directory; methods are thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "checkpoint/checkpoint.h"
#include "kernels/common/context.h"
#include "tensor/tensor.h"

namespace mxvideo::pipeline {

// What turns a prompt into its embedding.
struct TextEncoderSource {
  std::filesystem::path tokenizer;     // directory
  std::filesystem::path text_encoder;  // directory of its config
  const checkpoint::Checkpoint* weights;
  nlohmann::ordered_json quantization;
  kernels::RunPolicy policy = {};
  int64_t max_tokens = 0;
};

// The identity of a source. Files of the tokenizer and configs count by their SHA-256. Weights are
// too large for that: they count by name, size, inode, times of modification and of change, and the
// SHA-256 of their header; the paths are looked at anew. The time of change is the file system's
// own; no program sets it back, so weights that were replaced never pass for the old ones, and a
// moved or copied model merely encodes its prompts once more. Other kernels give other bits: the
// CPU's features and this program's version count as well. Throws as reading those files does.
nlohmann::ordered_json text_encoder_identity(const TextEncoderSource& source);

class TextCache {
 public:
  // `identity` as above; rows of an embedding have `width` values. The directory need not exist.
  // Throws Code::kInvalidArgument when `directory` is something else.
  TextCache(std::filesystem::path directory, nlohmann::ordered_json identity, int64_t width);

  const std::filesystem::path& directory() const { return directory_; }
  // Where the embedding of these tokens is or would be.
  std::filesystem::path path_of(std::span<const int32_t> ids) const;

  struct Entry {
    std::optional<Tensor> rows;  // [ids.size(), width]; none: not there, or not to be used
    std::string defect;          // why a file that is there is not used; one line
  };
  Entry find(std::span<const int32_t> ids) const;

  // Writes or replaces an entry; makes the directory. Throws Code::kIo.
  void store(std::span<const int32_t> ids, const Tensor& rows) const;

 private:
  std::string key_of(std::span<const int32_t> ids) const;
  Tensor read(const std::filesystem::path& path, std::span<const int32_t> ids) const;

  std::filesystem::path directory_;
  nlohmann::ordered_json identity_;
  int64_t width_;
};

}  // namespace mxvideo::pipeline
