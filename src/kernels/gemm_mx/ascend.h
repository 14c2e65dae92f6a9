// The MX product of the Ascend NPU, and its weights: codes [n, k] and scales [n, ceil(k/64), 2] as
// files hold them, so that loading is a copy.
#pragma once

#include "kernels/gemm_mx/gemm_mx.h"

namespace mxvideo::kernels {

class NpuMxWeight final : public MxWeight {
 public:
  Tensor codes;   // U8 [n, k]
  Tensor scales;  // U8 [n, 2·ceil(k/64)]
  bool nan = false;

  DeviceKind device() const override { return DeviceKind::kAscend; }
  int64_t bytes() const override { return codes.bytes() + scales.bytes(); }
  bool has_nan() const override { return nan; }
  double rounding_noise(std::string_view /*row*/) const override { return 0; }
  void unpack(uint8_t* row_major_codes, uint8_t* row_major_scales) const override;
};

const char* gemm_mx_ascend_reject(const GemmMxArgs& args, const RunPolicy& policy) noexcept;
void gemm_mx_ascend(const GemmMxArgs& args, std::byte* workspace, Context& context);

// As pack_mx_weight() and quantize_mx_weight(), for the NPU.
MxWeightPtr pack_mx_weight_ascend(const StoredMxWeight& stored, Context& context);
MxWeightPtr quantize_mx_weight_ascend(const TensorView& stored, const formats::MxOptions& options,
                                      Context& context);

}  // namespace mxvideo::kernels
