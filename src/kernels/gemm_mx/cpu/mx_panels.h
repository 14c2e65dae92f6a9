// Weights in the form that the processors of the host multiply by.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "formats/e8m0.h"
#include "kernels/gemm_mx/gemm_mx.h"

namespace mxvideo::kernels {

// The weights of the host's rows: 8-bit codes in panels of kPanel output features,
// element (j, t) of panel p at codes[(p·k + t)·kPanel + j]; scales [(p·(k/32) + b)·kPanel + j].
// The last panel is padded with zero codes. Packed once at load, never unpacked.
class MxPanels final : public MxWeight {
 public:
  static constexpr int64_t kPanel = 32;
  static constexpr uint8_t kSmallestScale = 32, kLargestScale = 220;  // of fills_scales

  Tensor codes;           // U8 [ceil(n/32), k, 32]
  Tensor scales;          // U8 [ceil(n/32), k/32, 32]
  uint8_t max_scale = 0;  // largest scale byte
  // Each block is zero, or has a scale byte in the range above and, with E4M3, an element of at
  // least 64: true for blocks of ordinary values under every scale rule.
  bool fills_scales = true;
  // At least Σ (w' - w)² / Σ w² of the weights w' that rows "…_fast" multiply by; 0 of INT8.
  double fast_noise = 0;

  DeviceKind device() const override { return DeviceKind::kCpu; }
  int64_t bytes() const override { return codes.bytes() + scales.bytes(); }
  bool has_nan() const override { return max_scale == formats::kE8m0Nan; }
  double rounding_noise(std::string_view row) const override;
  void unpack(uint8_t* row_major_codes, uint8_t* row_major_scales) const override;
};

// Packs a weight panel by panel, whose rows need not be in memory as a whole.
class MxPanelPacker {
 public:
  // What holds for the rows of a panel; see MxPanels.
  struct Survey {
    uint8_t max_scale = 0;
    bool fills_scales = true;
    double fast_noise = 0;  // upper bound of Σ (w' - w)²
    double signal = 0;      // lower bound of Σ w²
  };

  // For the products of `device`; k a multiple of 32. Throws Code::kOutOfMemory.
  MxPanelPacker(int64_t n, int64_t k, formats::MxElement element, Device& device = cpu_device());
  int64_t panels() const { return static_cast<int64_t>(surveys_.size()); }
  // Output features of a panel: kPanel, but for the last one.
  int64_t rows(int64_t panel) const;
  // Row-major `codes` [rows(panel), k] and `scales` [rows(panel), k/32]. Each panel once, from any
  // thread, as work of the device.
  void pack(int64_t panel, const uint8_t* codes, const uint8_t* scales) noexcept;
  // After every panel; the packer is empty then.
  MxPanels finish();

 private:
  MxPanels weight_;
  std::vector<Survey> surveys_;  // by panel
};

// `codes` [n, k] and `scales` [n, k/32], row-major, of the host. Parallel; returns when it is done.
MxPanels pack_mx_panels(const uint8_t* codes, const uint8_t* scales, int64_t n, int64_t k,
                        formats::MxElement element = formats::MxElement::kE4m3,
                        Device& device = cpu_device());

inline const MxPanels& panels_of(const GemmMxArgs& args) noexcept {
  return static_cast<const MxPanels&>(*args.weight);
}

}  // namespace mxvideo::kernels
