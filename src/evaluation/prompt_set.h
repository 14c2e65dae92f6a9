// The prompts of an evaluation and what a video of each must show: a JSON file beside a model.
//
//   {"colors": {"red": [220, 40, 40], …}, "backgrounds": {"white": [250, 250, 250], …},
//    "prompts": [{"prompt": "a red ball moves …", "shape": "ball", "color": "red",
//                 "background": "white", "direction": "right", "position": "at the top"}, …]}
//
// shape: ball, square, triangle or ring. direction: right, left, up or down. position: where the
// path lies, "at the top", "in the middle" or "at the bottom" of a motion to a side, "on the left",
// "in the middle" or "on the right" of one up or down. color and background: names of the lists.
//
// The file is hostile until checked. Thread-safe: plain values.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "evaluation/drawn_clips/palette.h"

namespace mxvideo::evaluation {

struct ExpectedContent {
  std::string shape, color, background, direction, position;
};

struct EvaluationPrompt {
  std::string prompt;
  ExpectedContent expected;
};

struct PromptSet {
  Palette colors, backgrounds;
  std::vector<EvaluationPrompt> prompts;
};

// Throws Code::kNotFound, Code::kIo, or Code::kCorruptFile naming the file, the first bad field,
// what was expected and what is there. Fields of other names are refused, too.
PromptSet read_prompt_set(const std::filesystem::path& path);

}  // namespace mxvideo::evaluation
