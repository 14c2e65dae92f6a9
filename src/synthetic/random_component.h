// Random weights for any component: the model declares its parameters, this writes a file for them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "checkpoint/parameter_loader.h"

namespace mxvideo::synthetic {

struct RandomComponent {
  std::filesystem::path directory;  // created
  // "diffusion_pytorch_model" or "model".
  const char* stem = "diffusion_pytorch_model";
  uint64_t seed = 0;
  // Tensors go into shards of about this size, with an index, when they do not fit into one file.
  int64_t shard_bytes = int64_t{1} << 30;
};

// Writes BF16 values that keep activations near unit scale: matrices by their fan-in, norm weights
// about 1, modulation tables about 0, convolutions with a smooth spatial profile. The values depend
// on the seed and the names only. Throws Code::kIo.
void write_random_component(const RandomComponent& component,
                            std::span<const checkpoint::ParameterSpec> specs);

}  // namespace mxvideo::synthetic
