// Shapes of real layers, read from bench/shapes/*.txt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mxvideo::bench {

struct GemmShape {
  std::string layer;  // "ti2v_5b/attn"
  int64_t k = 0;
  int64_t n = 0;
};

// Every line of every file, files in the order of their names. Lines are `layer K N` or comments
// that start with '#'. Throws Code::kInvalidArgument naming the file and line.
std::vector<GemmShape> gemm_shapes();

// Tokens per call: a single one, the text's, and two pieces of a video.
inline constexpr int64_t kGemmRowCounts[] = {1, 32, 512, 2048};

}  // namespace mxvideo::bench
