// y = epilogue(X Wᵀ + bias) with X and W in one MX format: MXFP8 (E4M3 elements) or MXINT8, an E8M0
// scale per 32 elements along k.
//
//   acc[i][j] = Σ_b 2^(sx[i][b]-127) · 2^(sw[j][b]-127) · Σ_{t<32} x[i][32b+t] · w[j][32b+t]
//
// Numerics: the reference accumulates in double and rounds once. fp32 rows ("avx2", "avx512",
// "highway") decode exactly, have exact products and accumulate in fp32. int16 rows ("…_int16")
// take E4M3 elements as multiples of 2^-4 of their block's scale: exact from 1/2 of the scale on,
// where blocks made by any scale rule reach to between 224 and 448; a smaller element moves by at
// most 2^-5 of the scale, 1/512 of the step of the block's largest; INT8 elements are integers
// already. int16 and int8 rows add the products of a block as integers, exactly, and the blocks in
// fp32. Rows "…_bf16" decode exactly, have exact products and add in fp32 without subnormals.
// All orders depend on k only, so bits depend on neither the thread count nor m or n. Bound of
// every row for acc, per output, against the exact value:
//   2·(k+8)·2^-24·Σ|x·w| + k·2^-149, the last term for sums among the fp32 subnormals, of bf16
//   rows 2·k·2^-126; and
//   int16 rows on E4M3: + (1 + k·2^-24) · Σ_b 2^(sx-127) · 2^(sw-127) · Σ_t (d·(|x| + |w|) + d²)
//   with d = 2^-5;
//   integer rows of AVX-512: + Σ|x·w| of the blocks with sx + sw < 140, which may count as zero:
//   each |x·w| there is below 2^-97.
// Rows "…_fast" take E4M3 elements as int8 multiples of 4: exact from 32 on, others move by at most
// 2, which is d in their bound. Compute::kAuto has them where fast_noise <= kAutoNoise; of
// activations nothing is known before the call.
// common/epilogue.h adds its own. Needs FTZ and DAZ off.
// Scales so large that a sum might overflow fp32 (their bytes together above about 350) make the
// fast rows decline, where the work runs; the reference computes them.
// Weight scale bytes are never 0xFF and codes never NaN: refused when loading.
// Activation scale byte 0xFF (a block that held NaN or infinity) makes the whole output row NaN.
// Re-entrant: calls from different threads may share the weight.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "formats/mx_block.h"
#include "kernels/common/epilogue.h"
#include "kernels/common/kernel_table.h"
#include "kernels/quantize_mx/quantize_mx.h"
#include "tensor/tensor.h"

namespace mxvideo::kernels {

// A weight as the products of a kind of device read it, in whatever form that is: made by one of
// the functions below, for the rows of that kind only.
class MxWeight {
 public:
  virtual ~MxWeight();
  virtual DeviceKind device() const = 0;
  // Held in the device's memory.
  virtual int64_t bytes() const = 0;
  // Whether a block held NaN or infinity when it was quantized.
  virtual bool has_nan() const = 0;
  // At least Σ (w' - w)² / Σ w² of the weights w' that the row `name` multiplies by.
  virtual double rounding_noise(std::string_view row) const = 0;
  // `codes` [n, k] and `scales` [n, k/32], row-major, of the host; for messages and tests. Waits
  // for the device's work.
  virtual void unpack(uint8_t* codes, uint8_t* scales) const = 0;

  int64_t n = 0;
  int64_t k = 0;  // multiple of 32
  formats::MxElement element = formats::MxElement::kE4m3;

 protected:
  MxWeight() = default;
  MxWeight(const MxWeight&) = default;
  MxWeight& operator=(const MxWeight&) = default;
};
using MxWeightPtr = std::unique_ptr<const MxWeight>;

// A weight as files hold it, in host memory.
struct StoredMxWeight {
  const uint8_t* codes = nullptr;   // [n, k]
  const uint8_t* scales = nullptr;  // [n, k/32]
  int64_t n = 0;
  int64_t k = 0;
  formats::MxElement element = formats::MxElement::kE4m3;
};

// For the products of the context's device; parallel, and done on return. Throw
// Code::kOutOfMemory, and Code::kUnsupported where the device multiplies no such weights.
MxWeightPtr pack_mx_weight(const StoredMxWeight& stored, Context& context);
// `stored` [n, k] F32, F16 or BF16, k a multiple of 32, quantized piece by piece: a block that
// holds NaN or infinity gets scale 255.
MxWeightPtr quantize_mx_weight(const TensorView& stored, const formats::MxOptions& options,
                               Context& context);

// Σ (w' - w)² / Σ w² of Gaussian weights w quantized to E4M3 by the rule rceil: -31.5 dB.
inline constexpr double kE4m3Noise = 7.1e-4;
// 0.3 dB of that.
inline constexpr double kAutoNoise = 5e-5;

struct GemmMxArgs {
  DevicePtr<const uint8_t> x_codes = nullptr;   // [m, k]
  DevicePtr<const uint8_t> x_scales = nullptr;  // [m, k/32]
  const MxWeight* weight = nullptr;
  DevicePtr<float> y = nullptr;  // [m, n]
  // Where the result goes quantized instead of to y, when this has codes: the bits of gemm_mx()
  // followed by quantize_mx(), of values still in the cache. n is a multiple of 32.
  MxOutput mx = {};
  int64_t m = 0;
  EpilogueArgs epilogue = {};
};

// What a row gets: the above and what quantizes the result (blocked.h).
struct GemmMxCall;
using GemmMxRow = Row<GemmMxArgs, GemmMxCall>;

std::span<const GemmMxRow> gemm_mx_rows();
void gemm_mx(const GemmMxArgs& args, Context& context);
Workload workload(const GemmMxArgs& args);  // common/workload.h

// The row that multiplies `weight` with ordinary activations, and its rounding_noise(). Throws as
// select() does.
struct GemmMxChoice {
  const char* row = nullptr;
  double noise = 0;
};
GemmMxChoice choose_gemm_mx(const MxWeight& weight, const Context& context);

}  // namespace mxvideo::kernels
