#include "base/parallel.h"
#include "kernels/conv3d/rows.h"

namespace mxvideo::kernels {
namespace {

// Sum over the kernel window of one output element.
double window_sum(const Conv3dArgs& args, const VideoExtent& out, int64_t channel) {
  const Conv3dShape& s = args.shape;
  double sum = 0;
  for (int64_t i = 0; i < s.kernel_t * s.kernel_h * s.kernel_w; ++i) {
    const int64_t dt = i / (s.kernel_h * s.kernel_w);
    const int64_t dy = i / s.kernel_w % s.kernel_h;
    const int64_t dx = i % s.kernel_w;
    const int64_t t = out.t * s.stride_t + dt - args.extent.leading_zeros;
    const int64_t y = out.h * s.stride_h + dy - s.pad_top;
    const int64_t x = out.w * s.stride_w + dx - s.pad_left;
    if (t < 0 || y < 0 || y >= args.extent.h || x < 0 || x >= args.extent.w) continue;
    const float* pixel = args.x + ((t * args.extent.h + y) * args.extent.w + x) * s.in_channels;
    const int64_t taps = s.kernel_t * s.kernel_h * s.kernel_w;
    const float* weight = args.weight + channel * s.in_channels * taps + i;
    for (int64_t c = 0; c < s.in_channels; ++c) {
      sum += static_cast<double>(pixel[c]) * weight[c * taps];
    }
  }
  return sum;
}

}  // namespace

VideoExtent conv3d_output(const Conv3dShape& s, const VideoExtent& x) {
  const auto extent = [](int64_t size, int64_t kernel, int64_t stride) {
    return size < kernel ? 0 : (size - kernel) / stride + 1;
  };
  return {.t = extent(x.leading_zeros + x.t, s.kernel_t, s.stride_t),
          .h = extent(x.h + s.pad_top + s.pad_bottom, s.kernel_h, s.stride_h),
          .w = extent(x.w + s.pad_left + s.pad_right, s.kernel_w, s.stride_w)};
}

void conv3d_reference(const Conv3dArgs& args) noexcept {
  const Conv3dShape& s = args.shape;
  const VideoExtent out = conv3d_output(s, args.extent);
  parallel_for(out.t * out.h * out.w, 1, [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      const VideoExtent at{
          .t = pixel / (out.h * out.w), .h = pixel / out.w % out.h, .w = pixel % out.w};
      for (int64_t channel = 0; channel < s.out_channels; ++channel) {
        const double sum = window_sum(args, at, channel) + args.bias[channel];
        args.y[pixel * s.out_channels + channel] = static_cast<float>(sum);
      }
    }
  });
}

}  // namespace mxvideo::kernels
