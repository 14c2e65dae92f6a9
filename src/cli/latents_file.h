// Files of latents: what --save-latents writes, --latents and decode read. A safetensors file with
// the tensor "latents", [z, frames, h, w] or with a batch of 1, any float type; its metadata says
// what they are ("kind") and which run they are of ("recipe"). Thread-safe.
#pragma once

#include <filesystem>
#include <string>

#include "base/file/atomic_file.h"
#include "tensor/tensor.h"

namespace mxvideo::cli {

struct LatentsFile {
  Tensor latents;         // [z, frames, h, w], finite
  bool denoised = false;  // the end of a run, as the file says
  std::string recipe;     // JSON of that run; empty: none
};

// Throws Code::kNotFound, Code::kCorruptFile, Code::kUnsupported.
LatentsFile read_latents(const std::filesystem::path& path);

// Denoised latents, with the recipe of their run. Commits the file.
void write_latents(AtomicFile& file, const Tensor& latents, const std::string& recipe);

// Why `latents` do not look like independent normal numbers; empty: they do.
std::string why_no_noise(const Tensor& latents);

}  // namespace mxvideo::cli
