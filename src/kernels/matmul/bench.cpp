// Dense products on real layers, for every row of the table and dtype of the weights, beside
// oneDNN's product of the same shape.
#include <string>
#include <vector>

#include "kernel_bench/measure.h"
#include "kernel_bench/registry.h"
#include "kernels/matmul/matmul.h"

namespace mxvideo::bench {
namespace {

using kernels::MatmulArgs;
using kernels::MatmulRow;

struct Shape {
  const char* layer;
  int64_t m, n, k;

  std::string name() const {
    return std::string(layer) + "_" + std::to_string(m) + "x" + std::to_string(n) + "x" +
           std::to_string(k);
  }
};

constexpr Shape kShapes[] = {
    {"time_projection", 1, 18432, 3072}, {"umt5", 64, 10240, 4096},  {"umt5", 512, 10240, 4096},
    {"head", 2048, 192, 3072},           {"patch", 1000, 3072, 192},
};

// 32-bit patterns that are small normal numbers as F32, BF16 and F16 alike.
std::vector<uint32_t> random_weights(int64_t count) {
  std::vector<uint32_t> bits(static_cast<size_t>(count));
  uint32_t seed = 1;
  for (uint32_t& word : bits) {
    seed = seed * 1664525u + 1013904223u;
    word = (seed & 0x80ff80ffu) | 0x3c003c00u;
  }
  return bits;
}

void bench_row(benchmark::State& state, const MatmulRow& row, DType dtype, const Shape& shape) {
  const std::vector<float> x = random_floats(shape.m * shape.k);
  const std::vector<uint32_t> weight = random_weights(shape.n * shape.k);
  std::vector<float> y(static_cast<size_t>(shape.m * shape.n));
  kernels::Context context;
  context.policy.forced_rows["matmul"] = row.name;
  const MatmulArgs args = {.x = x.data(),
                           .weight = reinterpret_cast<const std::byte*>(weight.data()),
                           .weight_dtype = dtype,
                           .y = y.data(),
                           .m = shape.m,
                           .n = shape.n,
                           .k = shape.k};
  const Work work = {.flops = 2.0 * static_cast<double>(shape.m * shape.n * shape.k),
                     .bytes = static_cast<double>(shape.n * shape.k * dtype_size(dtype)) +
                              static_cast<double>((x.size() + y.size()) * sizeof(float))};
  measure(
      state, work, [&] { kernels::matmul(args, context); },
      dense_rivals(shape.m, shape.n, shape.k));
}

void add_row(const MatmulRow& row, const Shape& shape) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    const std::string name = std::string("matmul/") + row.name + "/" +
                             std::string(dtype_name(dtype)) + "/" + shape.name();
    add_bench(name, [&row, dtype, shape](benchmark::State& state) {
      bench_row(state, row, dtype, shape);
    });
  }
}

}  // namespace

void register_matmul() {
  for (const MatmulRow& row : kernels::host_rows(kernels::matmul_rows())) {
    if (!cpu_has(cpu_features(), row.requires_cpu)) continue;
    if (std::string(row.name) == "reference") continue;  // minutes on these shapes
    for (const Shape& shape : kShapes) {
      if (row.reject({.m = shape.m}, {}) == nullptr) add_row(row, shape);
    }
  }
}

}  // namespace mxvideo::bench
