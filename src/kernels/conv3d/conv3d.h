// 3-D convolution (cross-correlation) on channels-last video: x [frames, height, width, channels].
//
// The time axis has no padding of its own: causal history is the caller's, as leading frames of x,
// or as a number of zero frames that are only counted, not computed with. Space is padded with
// zeros. Three rows: "product" (sgemm on gathered pixels, for many channels), "onednn" and
// "reference" (double accumulation). The first two accumulate in fp32 and split outputs only, so
// bits do not depend on the thread count.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kernels/common/kernel_table.h"
#include "tensor/tensor.h"

namespace mxvideo::kernels {

struct Conv3dShape {
  int64_t in_channels = 0, out_channels = 0;
  int64_t kernel_t = 1, kernel_h = 1, kernel_w = 1;
  int64_t stride_t = 1, stride_h = 1, stride_w = 1;
  int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;
};

struct VideoExtent {
  int64_t t = 0, h = 0, w = 0;
  int64_t leading_zeros = 0;  // frames before the first one, not in memory and not in t
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison with 0 for a pointer
  auto operator<=>(const VideoExtent&) const = default;
};

// Extent of the output; a dimension is <= 0 when x is smaller than the kernel.
VideoExtent conv3d_output(const Conv3dShape& shape, const VideoExtent& x);

enum class Conv3dMethod : uint8_t { kProduct, kOnednn, kReference, kAscend };

struct Conv3dCall {
  Conv3dShape shape;
  VideoExtent extent;  // of x
};

// A row keeps the weights in a layout of its own, so the table decides by the shape alone, and
// Conv3d holds what the rows need.
struct Conv3dRow {
  using Arguments = Conv3dCall;
  const char* name;
  CpuFeatures requires_cpu;
  const char* (*reject)(const Conv3dCall&, const RunPolicy&) noexcept;  // as in Row
  Conv3dMethod method;
  DeviceKind device = DeviceKind::kCpu;
};
std::span<const Conv3dRow> conv3d_rows();
Workload workload(const Conv3dCall& call);  // common/workload.h

// A convolution with its weights. They are reordered to the layout that the row asks for, once per
// layout (one in practice), and the plain copy is dropped. In the row "onednn" the first run() of
// each input extent makes a primitive, which is kept. run() from one thread at a time.
class Conv3d {
 public:
  // `weight` [out, in, kt, kh, kw] (or [out, in, kh, kw] with kernel_t 1) and `bias` [out] of the
  // host, any of F32, BF16, F16; copied by work of the device. Throws Code::kInternal on other
  // shapes.
  Conv3d(const Conv3dShape& shape, const TensorView& weight, const TensorView& bias,
         Device& device = cpu_device());
  ~Conv3d();
  Conv3d(Conv3d&&) noexcept;
  Conv3d& operator=(Conv3d&&) noexcept;

  const Conv3dShape& shape() const;
  // x [t, h, w, in_channels] -> [(leading_zeros+t-kt)/st+1, …, …, out_channels]. Throws
  // Code::kInternal when x is smaller than the kernel, Code::kOutOfMemory, and as select() does
  // for a forced row.
  Tensor run(const Tensor& x, Context& context, int64_t leading_zeros = 0) const;
  // The same between buffers of the caller: `y` holds conv3d_output(shape(), extent) elements.
  void run(DevicePtr<const float> x, const VideoExtent& extent, DevicePtr<float> y,
           Context& context) const;
  int64_t bytes() const;  // of weights and bias as held now

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mxvideo::kernels
