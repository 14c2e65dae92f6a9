// Configs of random models in the Diffusers layout: the three Wan2.2 variants, in the size that was
// published and in a small one that makes a video in seconds.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace mxvideo::synthetic {

// The JSON files of one model directory.
struct ModelPreset {
  nlohmann::ordered_json model_index;
  nlohmann::ordered_json transformer;
  bool two_experts = false;
  nlohmann::ordered_json vae;
  nlohmann::ordered_json text_encoder;
  nlohmann::ordered_json scheduler;
};

// `variant`: t2v-a14b, i2v-a14b or ti2v-5b; `size`: "demo" or "full". Throws
// Code::kInvalidArgument on other names.
ModelPreset model_preset(const std::string& variant, const std::string& size);

}  // namespace mxvideo::synthetic
