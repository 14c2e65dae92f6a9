// Samples of convolutions: all channels and frames, of large pictures a part.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/conv3d/conv3d.h"

namespace mxvideo::kernels {
namespace {

// Multiplications and additions of a sample, about, and the sides of its pictures at least.
constexpr double kFlops = 1e10;
constexpr int64_t kSide = 16;

// Frames of zeros that are only counted are not computed with, but belong to outputs.
Work work_of(const Conv3dCall& call) {
  const Conv3dShape& s = call.shape;
  const VideoExtent out = conv3d_output(s, call.extent);
  const double weights = static_cast<double>(s.in_channels * s.out_channels) *
                         static_cast<double>(s.kernel_t * s.kernel_h * s.kernel_w);
  const auto pixels = static_cast<double>(out.t * out.h * out.w);
  const auto x = static_cast<double>(call.extent.t * call.extent.h * call.extent.w);
  return {.flops = 2 * weights * pixels,
          .bytes = 4 * (weights + static_cast<double>(s.out_channels) * (pixels + 1) +
                        static_cast<double>(s.in_channels) * x)};
}

Conv3dCall sample_of(const Conv3dCall& call) {
  Conv3dCall sample = call;
  const double most = kFlops / work_of(call).flops;
  if (most >= 1) return sample;
  const auto cut = [&](int64_t size) {
    const auto wanted = static_cast<int64_t>(std::sqrt(most) * static_cast<double>(size));
    return std::clamp(wanted, std::min(kSide, size), size);
  };
  sample.extent.h = cut(call.extent.h);
  sample.extent.w = cut(call.extent.w);
  return sample;
}

SampleCall make_call(const Conv3dCall& sample, Device& device) {
  const Conv3dShape& s = sample.shape;
  const Shape shape{s.out_channels, s.in_channels, s.kernel_t, s.kernel_h, s.kernel_w};
  const std::vector<float> weight(static_cast<size_t>(shape.count()), 0.5F);
  const std::vector<float> bias(static_cast<size_t>(s.out_channels), 0.5F);
  const auto view = [](const std::vector<float>& values, const Shape& of) {
    return TensorView{.data = reinterpret_cast<const std::byte*>(values.data()), .shape = of};
  };
  const auto conv =
      std::make_shared<Conv3d>(s, view(weight, shape), view(bias, Shape{s.out_channels}), device);
  device.synchronize();
  const VideoExtent out = conv3d_output(s, sample.extent);
  SampleMemory memory(device);
  const DevicePtr<float> x =
      memory.floats(sample.extent.t * sample.extent.h * sample.extent.w * s.in_channels);
  const DevicePtr<float> y = memory.floats(out.t * out.h * out.w * s.out_channels);
  return [conv, memory, x, y, extent = sample.extent](Context& context) {
    conv->run(x, extent, y, context);
  };
}

}  // namespace

Workload workload(const Conv3dCall& call) {
  const Conv3dCall sample = sample_of(call);
  const Conv3dShape& s = sample.shape;
  const VideoExtent& e = sample.extent;
  return {.work = work_of(call),
          .shape = sizes_text({e.leading_zeros + e.t, e.h, e.w}) + " " +
                   sizes_text({s.in_channels, s.out_channels}) + " kernel " +
                   sizes_text({s.kernel_t, s.kernel_h, s.kernel_w}) + " stride " +
                   sizes_text({s.stride_t, s.stride_h, s.stride_w}) + " pad " +
                   sizes_text({e.leading_zeros, s.pad_top, s.pad_bottom, s.pad_left, s.pad_right}),
          .sample_work = work_of(sample),
          .sample = [sample](Device& device) { return make_call(sample, device); }};
}

}  // namespace mxvideo::kernels
