// The tiny checkpoints and goldens of the VAE, as its tests use them.
#pragma once

#include <string>
#include <vector>

#include "models/wan_vae/wan_vae.h"
#include "support/golden_file.h"

namespace mxvideo::models {

inline constexpr double kParityBound = 1e-4;  // relative RMS against the fp32 reference

// `form` is "2.1" or "2.2".
std::string vae_directory(const std::string& form);
WanVaeConfig load_vae_config(const std::string& form);
// Loaded once per process.
const WanVae& shared_vae(const std::string& form);

// All frames of a decode().
Tensor decode(const WanVae& vae, const Tensor& latents, const WanVaeRun& run);

// A golden tensor [1, c, t, h, w] with the channels last.
struct Golden {
  std::vector<int64_t> shape;  // [t, h, w, c]
  std::vector<float> values;
};
Golden channels_last(const test::GoldenFile& file, const std::string& name);
Tensor to_tensor(const Golden& golden);

// [1, z, t, h, w] -> [z, t, h, w].
Tensor latents_of(const test::GoldenFile& file, const std::string& name);

// Test failures that name the tensor.
void expect_near(const std::string& name, const Tensor& actual, const Golden& expected);
void expect_latents_near(const test::GoldenFile& file, const std::string& name,
                         const Tensor& actual);

}  // namespace mxvideo::models
