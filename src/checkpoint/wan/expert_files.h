// Where the weights of the one or two transformers lie below a path, in any layout that people
// have: a model directory (Diffusers, original Wan), a component's directory, a folder with a file
// or a folder per expert (ComfyUI, QuantStack, `quantize --layout comfy`), one file.
// Thread-safe: no state.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace mxvideo::checkpoint {

// Component (kHighNoiseExpert, kLowNoiseExpert) and directory or file, high noise first; one entry
// for what holds one transformer, whatever its name says. Names decide as in experts.h. Throws
// Code::kNotFound when there is none or only one half of a pair, Code::kCorruptFile when several
// files claim one place, and what reading a model_index.json throws.
using ExpertFiles = std::vector<std::pair<std::string, std::filesystem::path>>;
ExpertFiles find_experts(const std::filesystem::path& path);

// The directory or file of one component at a path that a user named for it: the path itself where
// nothing is to be chosen. Throws as find_experts() does.
std::filesystem::path find_expert(const std::filesystem::path& path, const std::string& component);

}  // namespace mxvideo::checkpoint
