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
#include <span>
#include <vector>

#include "formats/mx_block.h"
#include "kernels/common/epilogue.h"
#include "kernels/common/kernel_table.h"
#include "kernels/quantize_mx/quantize_mx.h"
#include "tensor/tensor.h"

namespace mxvideo::kernels {

// Weights as the CPU rows of this op read them: 8-bit codes in panels of kPanel output features,
// element (j, t) of panel p at codes[(p·k + t)·kPanel + j]; scales [(p·(k/32) + b)·kPanel + j].
// The last panel is padded with zero codes. Packed once at load, never unpacked.
struct PackedMxWeight {
  static constexpr int64_t kPanel = 32;
  static constexpr uint8_t kSmallestScale = 32, kLargestScale = 220;  // of fills_scales

  Tensor codes;   // U8 [ceil(n/32), k, 32]
  Tensor scales;  // U8 [ceil(n/32), k/32, 32]
  int64_t n = 0;
  int64_t k = 0;  // multiple of 32
  formats::MxElement element = formats::MxElement::kE4m3;
  uint8_t max_scale = 0;  // largest scale byte
  // Each block is zero, or has a scale byte in the range above and, with E4M3, an element of at
  // least 64: true for blocks of ordinary values under every scale rule.
  bool fills_scales = true;
  // At least Σ (w' - w)² / Σ w² of the weights w' that rows "…_fast" multiply by; 0 of INT8.
  double fast_noise = 0;

  int64_t bytes() const { return codes.bytes() + scales.bytes(); }
};

// Packs a weight panel by panel, whose rows need not be in memory as a whole.
class MxWeightPacker {
 public:
  // What holds for the rows of a panel; see PackedMxWeight.
  struct Survey {
    uint8_t max_scale = 0;
    bool fills_scales = true;
    double fast_noise = 0;  // upper bound of Σ (w' - w)²
    double signal = 0;      // lower bound of Σ w²
  };

  // For the products of `device`; k a multiple of 32. Throws Code::kOutOfMemory.
  MxWeightPacker(int64_t n, int64_t k, formats::MxElement element, Device& device = cpu_device());
  int64_t panels() const { return static_cast<int64_t>(surveys_.size()); }
  // Output features of a panel: kPanel, but for the last one.
  int64_t rows(int64_t panel) const;
  // Row-major `codes` [rows(panel), k] and `scales` [rows(panel), k/32]. Each panel once, from any
  // thread, as work of the device.
  void pack(int64_t panel, const uint8_t* codes, const uint8_t* scales) noexcept;
  // After every panel; the packer is empty then.
  PackedMxWeight finish();

 private:
  PackedMxWeight weight_;
  std::vector<Survey> surveys_;  // by panel
};

// `codes` [n, k] and `scales` [n, k/32], row-major, of the host. Parallel; returns when it is done.
PackedMxWeight pack_mx_weight(const uint8_t* codes, const uint8_t* scales, int64_t n, int64_t k,
                              formats::MxElement element = formats::MxElement::kE4m3,
                              Device& device = cpu_device());
// Inverse of packing, where its memory may be read; for messages and tests. Arrays sized as above.
void unpack_mx_weight(const PackedMxWeight& weight, uint8_t* codes, uint8_t* scales);

// Σ (w' - w)² / Σ w² of Gaussian weights w quantized to E4M3 by the rule rceil: -31.5 dB.
inline constexpr double kE4m3Noise = 7.1e-4;
// 0.3 dB of that.
inline constexpr double kAutoNoise = 5e-5;

struct GemmMxArgs {
  DevicePtr<const uint8_t> x_codes = nullptr;   // [m, k]
  DevicePtr<const uint8_t> x_scales = nullptr;  // [m, k/32]
  const PackedMxWeight* weight = nullptr;
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

// The row that multiplies `weight` with ordinary activations, and at least Σ (w' - w)² / Σ w² of
// the weights w' that it multiplies by. Throws as select() does.
struct GemmMxChoice {
  const char* row = nullptr;
  double noise = 0;
};
GemmMxChoice choose_gemm_mx(const PackedMxWeight& weight, const Context& context);

}  // namespace mxvideo::kernels
