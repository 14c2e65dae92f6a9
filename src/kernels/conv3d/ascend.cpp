// aclnnConvolution in BF16: the channels-last video is turned to NCDHW and back by copies, which
// bring the leading zero frames and uneven padding of space with them; even padding is the
// operator's. The bias is rounded to BF16, and the sum once.
#include "kernels/common/npu.h"
#include "kernels/conv3d/rows.h"

namespace mxvideo::kernels {
namespace {

// A video [1, channels, t, h, w] and, of the same elements, [channels, t, h, w] from a place on.
AclView planes(const AclView& video) {
  return {video.data, video.type, std::span<const int64_t>(video.dims.data() + 1, 4)};
}

// [channels, t, h, w] of channels-last memory.
AclView turned(const DevicePtr<const float>& x, int64_t channels, const VideoExtent& extent) {
  const int64_t dims[] = {channels, extent.t, extent.h, extent.w};
  const int64_t row = extent.w * channels;
  const int64_t strides[] = {1, extent.h * row, row, channels};
  return {x.get(), acl_type(x.dtype()), dims, strides};
}

}  // namespace

void conv3d_ascend(const NpuConv3dArgs& args, Context& context) {
  Npu npu(context);
  const Conv3dShape& shape = args.shape;
  const VideoExtent& extent = args.extent;
  const VideoExtent result = conv3d_output(shape, extent);
  const bool even = shape.pad_top == shape.pad_bottom && shape.pad_left == shape.pad_right;
  const int64_t top = even ? 0 : shape.pad_top, left = even ? 0 : shape.pad_left;
  const int64_t height = extent.h + (even ? 0 : shape.pad_top + shape.pad_bottom);
  const int64_t width = extent.w + (even ? 0 : shape.pad_left + shape.pad_right);
  const int64_t frames = extent.leading_zeros + extent.t;

  const AclView video =
      npu.temporary(AclType::kBf16, {1, shape.in_channels, frames, height, width});
  if (frames != extent.t || !even) npu.clear(video);
  AclView inside = planes(video);
  const int64_t offset = (extent.leading_zeros * height + top) * width + left;
  inside.data = static_cast<std::byte*>(video.data) + offset * ascend::type_size(video.type);
  inside.dims = {shape.in_channels, extent.t, extent.h, extent.w};
  npu.copy(turned(args.x, shape.in_channels, extent), inside);

  const AclView weight(
      args.weight, AclType::kBf16,
      {shape.out_channels, shape.in_channels, shape.kernel_t, shape.kernel_h, shape.kernel_w});
  const AclView bias(args.bias, AclType::kBf16, {shape.out_channels});
  const AclView y =
      npu.temporary(AclType::kBf16, {1, shape.out_channels, result.t, result.h, result.w});
  constexpr auto kNcdhw = ascend::AclFormat::kNcdhw;
  npu.run(npu.cann().Convolution, in(video.in(kNcdhw)), in(weight.in(kNcdhw)), in(bias),
          ascend::integers({shape.stride_t, shape.stride_h, shape.stride_w}),
          ascend::integers({0, even ? shape.pad_top : 0, even ? shape.pad_left : 0}),
          ascend::integers({1, 1, 1}), false, ascend::integers({0, 0, 0}), 1, out(y.in(kNcdhw)),
          ascend::kKeepDtype);
  npu.copy(planes(y), turned(args.y, shape.out_channels, result));
}

}  // namespace mxvideo::kernels
