#include "bench/gemm_shapes.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace mxvideo::bench {

std::vector<GemmShape> gemm_shapes() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(MXVIDEO_BENCH_SHAPES_DIR)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<GemmShape> shapes;
  for (const auto& path : files) {
    std::ifstream file(path);
    int number = 0;
    for (std::string line; std::getline(file, line);) {
      ++number;
      if (line.empty() || line[0] == '#') continue;
      GemmShape shape;
      std::istringstream fields(line);
      if (!(fields >> shape.layer >> shape.k >> shape.n) || shape.k <= 0 || shape.n <= 0) {
        throw Error(Code::kInvalidArgument, path.string() + ":" + std::to_string(number) +
                                                ": expected `layer K N`, got '" + line + "'");
      }
      shape.layer = path.stem().string() + "/" + shape.layer;
      shapes.push_back(shape);
    }
  }
  return shapes;
}

}  // namespace mxvideo::bench
