// Every row on the linears of the real models, beside oneDNN's dense product of the same shape.
#include <algorithm>
#include <string>
#include <vector>

#include "bench/dense_product.h"
#include "bench/gemm_shapes.h"
#include "bench/measure.h"
#include "bench/registry.h"
#include "kernels/gemm_mxfp8/gemm_mxfp8.h"

namespace mxvideo::bench {
namespace {

using kernels::GemmMxfp8Args;
using GemmRow = kernels::Row<GemmMxfp8Args>;

// Codes without NaN, scales near 1.
struct Operands {
  Operands(int64_t m, const GemmShape& shape)
      : x_codes(static_cast<size_t>(m * shape.k)),
        x_scales(static_cast<size_t>(m * shape.k / 32), 120),
        y(static_cast<size_t>(m * shape.n)) {
    std::vector<uint8_t> w_codes(static_cast<size_t>(shape.n * shape.k));
    const std::vector<uint8_t> w_scales(static_cast<size_t>(shape.n * shape.k / 32), 120);
    uint32_t state = 1;
    for (auto* codes : {&x_codes, &w_codes}) {
      for (uint8_t& code : *codes) {
        state = state * 1664525u + 1013904223u;
        code = static_cast<uint8_t>((state >> 24) & 0xfe);
      }
    }
    weight = kernels::pack_mxfp8_weight(w_codes.data(), w_scales.data(), shape.n, shape.k);
  }

  std::vector<uint8_t> x_codes;
  std::vector<uint8_t> x_scales;
  std::vector<float> y;
  kernels::PackedMxfp8Weight weight;
};

double product_flops(int64_t m, const GemmShape& shape) {
  return 2.0 * static_cast<double>(m) * static_cast<double>(shape.n * shape.k);
}

void bench_row(benchmark::State& state, const GemmRow& row, const GemmShape& shape, int64_t m) {
  Operands operands(m, shape);
  const GemmMxfp8Args args = {.x_codes = operands.x_codes.data(),
                              .x_scales = operands.x_scales.data(),
                              .weight = &operands.weight,
                              .y = operands.y.data(),
                              .m = m};
  const auto bytes = static_cast<double>(operands.weight.bytes()) +
                     static_cast<double>(operands.x_codes.size() + operands.x_scales.size() +
                                         operands.y.size() * sizeof(float));
  measure(
      state, {.flops = product_flops(m, shape), .bytes = bytes}, [&] { row.run(args); },
      dense_rivals(m, shape.n, shape.k));
}

}  // namespace

void register_gemm_mxfp8() {
  for (const GemmRow& row : kernels::gemm_mxfp8_rows()) {
    if (!cpu_has(cpu_features(), row.requires_cpu)) continue;
    const bool slow = row.requires_cpu == kCpuNone;  // the reference: one shape shows its rate
    for (const GemmShape& shape : gemm_shapes()) {
      for (const int64_t m : kGemmRowCounts) {
        const double flops = product_flops(m, shape);
        if (slow && flops > 1e8) continue;
        const std::string name =
            std::string("gemm_mxfp8/") + row.name + "/" + shape.layer + "/m:" + std::to_string(m);
        const auto runs = static_cast<int64_t>(std::clamp(2e11 / flops, 5.0, 51.0));
        add_bench(
            name, [&row, shape, m](benchmark::State& state) { bench_row(state, row, shape, m); },
            runs);
      }
    }
  }
}

}  // namespace mxvideo::bench
