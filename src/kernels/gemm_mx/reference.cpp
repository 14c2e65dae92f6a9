// The definition of gemm_mx: decode, multiply, accumulate in double, round once. And that of the
// rows "…_fast", for any CPU: the same products of elements that are rounded to multiples of 4.
#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "base/parallel.h"
#include "formats/e4m3.h"
#include "formats/e8m0.h"
#include "formats/int8.h"
#include "formats/mx_block.h"
#include "kernels/gemm_mx/cpu/blocked.h"
#include "kernels/gemm_mx/cpu/mx_panels.h"

namespace mxvideo::kernels {

namespace {

using Decode = float (*)(uint8_t code);

float decode_fast(uint8_t code) { return std::round(formats::decode_e4m3(code) / 4) * 4; }

// x[i] · w[j] without epilogue.
double dot(const GemmMxArgs& args, int64_t i, int64_t j, Decode decode) noexcept {
  constexpr int64_t kBlock = formats::kMxBlockSize;
  constexpr int64_t kPanel = MxPanels::kPanel;
  const int64_t k = args.weight->k;
  const auto* codes = reinterpret_cast<const uint8_t*>(panels_of(args).codes.data());
  const auto* scales = reinterpret_cast<const uint8_t*>(panels_of(args).scales.data());
  const uint8_t* panel_codes = codes + j / kPanel * kPanel * k + j % kPanel;
  const uint8_t* panel_scales = scales + j / kPanel * kPanel * (k / kBlock) + j % kPanel;
  double acc = 0;
  for (int64_t b = 0; b < k / kBlock; ++b) {
    double sum = 0;
    for (int64_t t = b * kBlock; t < (b + 1) * kBlock; ++t) {
      sum += static_cast<double>(decode(args.x_codes[i * k + t])) * decode(panel_codes[t * kPanel]);
    }
    const double x_scale = formats::decode_e8m0(args.x_scales[i * (k / kBlock) + b]);
    acc += x_scale * formats::decode_e8m0(panel_scales[b * kPanel]) * sum;
  }
  return acc;
}

void run(const GemmMxCall& args, Decode decode) noexcept {
  constexpr int64_t kPanel = MxPanels::kPanel;
  const int64_t n = args.weight->n;
  const int64_t panels = ceil_div(n, kPanel);
  parallel_for(args.m * panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t i = part / panels;
      const int64_t column = part % panels * kPanel;
      float values[kPanel];
      const int64_t count = std::min(kPanel, n - column);
      for (int64_t c = 0; c < count; ++c) {
        const int64_t j = column + c;
        values[c] =
            static_cast<float>(epilogue_value(args.epilogue, i, j, dot(args, i, j, decode)));
      }
      if (args.mx.codes != nullptr) {
        quantize_outputs(args, i, 1, column, values);
      } else {
        std::copy_n(values, count, args.y + i * n + column);
      }
    }
  });
}

}  // namespace

void run_gemm_mx_reference(const GemmMxCall& args) noexcept {
  const bool int8 = args.weight->element == formats::MxElement::kInt8;
  run(args, int8 ? formats::decode_int8 : formats::decode_e4m3);
}

void run_gemm_mx_reference_fast(const GemmMxCall& args) noexcept { run(args, decode_fast); }

}  // namespace mxvideo::kernels
