// Root-mean-square norms of rows. In place is allowed; rows are independent; statistics fp32 (the
// reference: double).
//
//   kMeanSquare: y = x / sqrt(mean(x²) + epsilon) · weight          (T5LayerNorm, qk RMSNorm)
//   kL2:         y = x / max(‖x‖₂, epsilon) · sqrt(dim) · weight    (the Wan VAE, epsilon 1e-12)
// followed by SiLU when `silu` is set.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

enum class RmsNormKind : uint8_t { kMeanSquare, kL2 };

struct RmsNormArgs {
  DevicePtr<const float> x = nullptr;  // [rows, dim]
  DevicePtr<float> y = nullptr;        // [rows, dim]
  int64_t rows = 0;
  int64_t dim = 0;
  float epsilon = 1e-6f;
  DevicePtr<const float> weight = nullptr;  // [dim]
  RmsNormKind kind = RmsNormKind::kMeanSquare;
  bool silu = false;
  int64_t x_stride = 0;  // floats between rows of x; 0 means dim
  // [rows] what each row is multiplied by besides the weight, when that is known already: by
  // rms_factors() of the longer rows that these are parts of.
  DevicePtr<const float> factors = nullptr;
  DevicePtr<float> found_factors =
      nullptr;  // [rows] set by rms_factors(): those alone are computed
};

std::span<const Row<RmsNormArgs>> rms_norm_rows();
void rms_norm(const RmsNormArgs& args, Context& context);
Workload workload(const RmsNormArgs& args);  // common/workload.h
// Part of an op's work: the factors [rows] of x's rows by a row of the table; y is not used.
void rms_factors(const Row<RmsNormArgs>& row, const RmsNormArgs& args, float* factors);

}  // namespace mxvideo::kernels
