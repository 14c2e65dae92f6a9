// The shapes that benches measure, from text files: bench/shapes/*.txt, which the build puts into
// the program, or a file that the user names. Comments begin with '#'. Pure functions; thread-safe.
// Errors in a file: Code::kCorruptFile naming file and line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mxvideo::bench {

// A linear layer of a model.
struct LayerShape {
  std::string model;  // "ti2v_5b": the file's name without its ending
  std::string layer;  // "ffn_in"
  int64_t k = 0;      // inputs, a multiple of 32
  int64_t n = 0;      // outputs
};

// Tokens of a video at a resolution.
struct TokenCount {
  std::string model;
  std::string resolution;  // "480p"
  int64_t tokens = 0;
};

// One matrix product [m, k] x [k, n].
struct GemmProblem {
  std::string layer;  // "ti2v_5b/ffn_in"
  int64_t m = 0, k = 0, n = 0;
};

// A text file: its name for messages and its content.
struct TextFile {
  std::string name;
  std::string text;
};

// Lines `layer K N`. A file without shapes is an error.
std::vector<LayerShape> parse_layer_shapes(const TextFile& file);
// Lines `model resolution tokens`.
std::vector<TokenCount> parse_token_counts(const TextFile& file);

// Those of the program. Layers of the larger model first.
std::vector<LayerShape> builtin_layer_shapes();
std::vector<TokenCount> builtin_token_counts();

// Each shape whose "model/layer" matches the glob, with each of `rows`: a number, or a resolution,
// which is the number of tokens of the shape's model. Throws Code::kInvalidArgument for a glob that
// matches nothing, and for rows that are neither.
struct GemmSelection {
  std::string layers = "*";
  std::vector<std::string> rows;
};
std::vector<GemmProblem> select_problems(const std::vector<LayerShape>& shapes,
                                         const std::vector<TokenCount>& tokens,
                                         const GemmSelection& selection);

}  // namespace mxvideo::bench
