// Which of the two experts of a Wan2.2-A14B a file is: by what names say, and by what tensors hold.
// With the experts exchanged, or one of them used twice, the video is noise and nothing else shows
// it. Thread-safe: no state.
// Source of the spellings: Comfy-Org (wan2.2_t2v_high_noise_14B_fp16), Kijai
// (Wan2_2-T2V-A14B-HIGH_bf16), QuantStack (HighNoise/Wan2.2-T2V-A14B-HighNoise-Q4_K_M), lightx2v
// (wan2.2_i2v_A14b_high_noise_lightx2v), Wan-AI (high_noise_model/), merges (…I2V14BV8High,
// …_HN).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"

namespace mxvideo::checkpoint {

// The components' names, as Diffusers has them; the high-noise one is also a model's only one.
inline constexpr const char* kHighNoiseExpert = "transformer";
inline constexpr const char* kLowNoiseExpert = "transformer_2";

// kHighNoiseExpert or kLowNoiseExpert, as the name of one file or folder says; nullptr when it says
// neither or both. "high_noise", "HighNoise", "high-noise" and the like count for more than "HIGH",
// "High", "_high_" and "HN" alone; "high_quality", "low_vram" and the like say nothing.
const char* expert_of_name(std::string_view name);

// The same for a path: its own name; if that says nothing, the nearest folder that is exactly
// high_noise_model, low_noise_model or transformer_2, or the folder it lies in if that is exactly
// high_noise, HighNoise or the like.
const char* expert_of_path(const std::filesystem::path& path);

// Throws Code::kInvalidArgument when the path says that it is for the other expert: the name of
// what was `found` at the path that was `given` or, if that says nothing, the given path's.
void check_expert_path(const std::string& component, const std::filesystem::path& given,
                       const std::filesystem::path& found);

// Throws Code::kInvalidArgument when both are read from one file, through links too, or when all
// small tensors of one are those of the other.
void check_experts_differ(const Checkpoint& high_noise, const Checkpoint& low_noise);

// Throws Code::kMismatch when the float tensors of `files`, taken for `component`, are clearly
// closer to `other` than to `own`, which are that expert and the other one of an original model.
// Reads small tensors only, and stops at the first that is its own.
void check_expert_content(const std::string& component, const Checkpoint& files,
                          const Checkpoint& own, const Checkpoint& other);

}  // namespace mxvideo::checkpoint
