// Writer of safetensors files. The bytes are those of the Python library for the same input:
// tensors sorted by dtype (widest first), then by name, without holes; header padded with spaces
// to a multiple of 8, so that every tensor is aligned to its element size.
// Thread-safe: no state. Source: github.com/huggingface/safetensors, README and serialize().
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "tensor/tensor.h"

namespace mxvideo::checkpoint {

struct NamedTensor {
  std::string name;
  TensorView view;
};

// Writes atomically (base/atomic_file.h). Throws Code::kInvalidArgument for names or metadata that
// the format cannot hold (duplicates, invalid UTF-8, over the reader's limits), Code::kIo.
void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace mxvideo::checkpoint
