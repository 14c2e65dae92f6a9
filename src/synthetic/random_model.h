// Components of random weights in the exact Diffusers layout: config.json and safetensors, as large
// as the config says. For benches, tests and mxvideo-make-checkpoint. Thread-safe for distinct
// directories. Throws Code::kIo, and what the config's reader throws on a config it cannot take.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

namespace mxvideo::synthetic {

// A directory (created), its config.json and the seed of its values (random_component.h).
struct RandomModel {
  std::filesystem::path directory;
  const nlohmann::ordered_json& config;
  uint64_t seed = 1;
};

void write_random_transformer(const RandomModel& model);
void write_random_vae(const RandomModel& model);
void write_random_text_encoder(const RandomModel& model);

}  // namespace mxvideo::synthetic
