// The convolutions behind Conv3d that are not oneDNN's own. Both take what Conv3d has checked.
#pragma once

#include "kernels/conv3d/conv3d.h"

namespace mxvideo::kernels {

struct Conv3dArgs {
  Conv3dShape shape = {};
  DevicePtr<const float> x = nullptr;  // [t, h, w, in]
  VideoExtent extent = {};
  // [out, in, kt, kh, kw]; the product: see product_columns()
  DevicePtr<const float> weight = nullptr;
  DevicePtr<const float> bias = nullptr;  // [out]
  DevicePtr<float> y = nullptr;           // [ot, oh, ow, out]
};

// What the NPU takes, in its memory.
struct NpuConv3dArgs {
  Conv3dShape shape = {};
  DevicePtr<const float> x = nullptr;  // [t, h, w, in]
  VideoExtent extent = {};
  const std::byte* weight = nullptr;  // BF16 [out, in, kt, kh, kw]
  const std::byte* bias = nullptr;    // BF16 [out]
  DevicePtr<float> y = nullptr;       // [ot, oh, ow, out]
};
// By CANN.
void conv3d_ascend(const NpuConv3dArgs& args, Context& context);

// The definition: plain loops, double accumulation.
void conv3d_reference(const Conv3dArgs& args) noexcept;

// A matrix product of the pixels under the kernel, gathered panel by panel, and the weights
// [out / columns, kt, kh, kw, in, columns], where columns = product_columns(shape). Tiles of pixels
// of one frame and of output channels are one task each, so bits do not depend on the thread
// count. Launched on the context's device. Throws Code::kOutOfMemory.
void conv3d_product(const Conv3dArgs& args, Context& context);
// 0 when the product does not suit the shape: too few channels to be worth a gather.
int64_t product_columns(const Conv3dShape& shape) noexcept;

}  // namespace mxvideo::kernels
