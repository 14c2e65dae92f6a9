// The golden whole runs of Diffusers, as tests of the pipeline use them.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "pipeline/run.h"
#include "support/golden_file.h"

namespace mxvideo::pipeline {

// A tiny random model of the goldens, or the trained one that ships with the source.
std::filesystem::path model_directory(const std::string& name);

struct GoldenRun {
  explicit GoldenRun(const std::string& file)
      : golden("pipeline/" + file), info(nlohmann::json::parse(golden.metadata().at("info"))) {}

  GenerateRequest request() const;
  Engine engine(const std::string& scheme = "none", int64_t resident_bytes = 0,
                Device& device = cpu_device()) const {
    return Engine({.model_directory = model_directory(info["variant"]),
                   .quantization = {.scheme = scheme, .ignored_layers = {}, .mx = {}},
                   .policy = {},
                   .device = &device,
                   .resident_bytes = resident_bytes});
  }

  test::GoldenFile golden;
  nlohmann::json info;
};

// What a run leaves.
struct Generated {
  Tensor latents, video;
  RunReport report;
  ResolvedRequest request;
};
Generated generate_all(const Engine& engine, const GenerateRequest& request, RunHooks hooks = {});

}  // namespace mxvideo::pipeline
