// quantize_mx on the activations of real layers, every row of the table on one thread, then the
// entry on all threads; BF16 as weights have it. Counts 4 (BF16: 2) bytes read and 1 + 1/32 written
// per element; `copy` moves the same input with memcpy (4 read, 4 written), on one thread.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "formats/half.h"
#include "kernel_bench/measure.h"
#include "kernel_bench/registry.h"
#include "kernels/quantize_mx/quantize_mx.h"

namespace mxvideo::bench {
namespace {

using kernels::QuantizeMxArgs;
using QuantizeRow = kernels::Row<QuantizeMxArgs>;

struct Shape {
  int64_t m, k;
};

// In L2, a tile of tokens; TI2V-5B ffn and A14B attention inputs, beyond every cache.
constexpr Shape kShapes[] = {{16, 3072}, {2048, 14336}, {4096, 5120}};

struct Problem {
  explicit Problem(Shape shape)
      : x(random_floats(shape.m * shape.k)), codes(x.size()), scales(x.size() / 32) {
    args = {.x = x.data(),
            .codes = codes.data(),
            .scales = scales.data(),
            .m = shape.m,
            .k = shape.k,
            .options = {}};
  }
  Work work() const {
    const double read = args.x == nullptr ? 2 : 4;
    return {.bytes = static_cast<double>(x.size()) * (read + 1 + 1.0 / 32)};
  }
  void take_bf16() {
    x_bf16.resize(x.size());
    std::transform(x.begin(), x.end(), x_bf16.begin(), formats::encode_bf16);
    args.x = nullptr;
    args.x_bf16 = x_bf16.data();
  }

  std::vector<float> x;
  std::vector<uint16_t> x_bf16;
  std::vector<uint8_t> codes, scales;
  QuantizeMxArgs args;
};

void bench_row(benchmark::State& state, const QuantizeRow& row, Shape shape,
               const formats::MxOptions& options) {
  Problem problem(shape);
  problem.args.options = options;
  measure(state, problem.work(), [&] { row.run(problem.args); });
}

void bench_bf16_row(benchmark::State& state, const QuantizeRow& row, Shape shape) {
  Problem problem(shape);
  problem.take_bf16();
  measure(state, problem.work(), [&] { row.run(problem.args); });
}

void bench_entry(benchmark::State& state, Shape shape) {
  Problem problem(shape);
  kernels::Context context;
  measure(state, problem.work(), [&] { kernels::quantize_mx(problem.args, context); });
}

void bench_copy(benchmark::State& state, Shape shape) {
  const Problem problem(shape);
  std::vector<float> target(problem.x.size());
  const auto bytes = static_cast<double>(target.size() * 2 * sizeof(float));
  measure(state, {.bytes = bytes}, [&] {
    std::memcpy(target.data(), problem.x.data(), target.size() * sizeof(float));
    benchmark::ClobberMemory();
  });
}

void add_row(const QuantizeRow& row, Shape shape, const std::string& suffix) {
  const formats::MxOptions away{.rounding = formats::ElementRounding::kHalfAway};
  const std::string name = std::string("quantize_mx/") + row.name + suffix;
  for (const auto& [variant, options] :
       {std::pair{"", formats::MxOptions{}}, {"/half_away", away}}) {
    add_bench(name + variant, [&row, shape, options = options](benchmark::State& state) {
      bench_row(state, row, shape, options);
    });
  }
  add_bench(name + "/bf16",
            [&row, shape](benchmark::State& state) { bench_bf16_row(state, row, shape); });
}

}  // namespace

void register_quantize_mx() {
  for (const Shape shape : kShapes) {
    const std::string suffix = "/" + std::to_string(shape.m) + "x" + std::to_string(shape.k);
    for (const QuantizeRow& row : kernels::host_rows(kernels::quantize_mx_rows())) {
      if (cpu_has(cpu_features(), row.requires_cpu)) add_row(row, shape, suffix);
    }
    add_bench("quantize_mx/threads:" + std::to_string(num_threads()) + suffix,
              [shape](benchmark::State& state) { bench_entry(state, shape); });
    add_bench("copy" + suffix, [shape](benchmark::State& state) { bench_copy(state, shape); });
  }
}

}  // namespace mxvideo::bench
