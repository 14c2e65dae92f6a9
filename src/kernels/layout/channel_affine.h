// Shifts and scales each channel of [channels, per_channel], fp32; y may be x.
//   kNormalize:   y = (x - mean) / deviation
//   kDenormalize: y = x·deviation + mean
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

enum class ChannelAffineOp : uint8_t { kNormalize, kDenormalize };

struct ChannelAffineArgs {
  ChannelAffineOp op = ChannelAffineOp::kNormalize;
  DevicePtr<const float> x = nullptr;
  DevicePtr<float> y = nullptr;
  int64_t per_channel = 0;
  std::vector<float> mean = {};       // one for each channel
  std::vector<float> deviation = {};  // likewise
};

std::span<const Row<ChannelAffineArgs>> channel_affine_rows();
void channel_affine(const ChannelAffineArgs& args, Context& context);
Workload workload(const ChannelAffineArgs& args);  // common/workload.h

}  // namespace mxvideo::kernels
