// Convolutions of the full-size VAE at 480x832, on small crops so that one run stays short. The
// fast row is oneDNN itself, so it has no rival.
#include <string>

#include "kernel_bench/measure.h"
#include "kernel_bench/registry.h"
#include "kernels/conv3d/conv3d.h"

namespace mxvideo::bench {
namespace {

using kernels::Conv3dShape;
using kernels::VideoExtent;

struct Crop {
  int64_t channels;
  VideoExtent extent;
};

constexpr Crop kCrops[] = {
    {384, {.t = 3, .h = 60, .w = 104}}, {384, {.t = 4, .h = 60, .w = 104}},
    {192, {.t = 6, .h = 60, .w = 208}}, {96, {.t = 3, .h = 120, .w = 208}},
    {96, {.t = 6, .h = 120, .w = 208}},
};

void bench_conv(benchmark::State& state, const Crop& crop) {
  const auto& [channels, extent] = crop;
  const Conv3dShape shape{.in_channels = channels,
                          .out_channels = channels,
                          .kernel_t = 3,
                          .kernel_h = 3,
                          .kernel_w = 3,
                          .pad_top = 1,
                          .pad_bottom = 1,
                          .pad_left = 1,
                          .pad_right = 1};
  const Tensor weight = Tensor::zeros({channels, channels, 3, 3, 3});
  const Tensor bias = Tensor::zeros({channels});
  const Tensor x = Tensor::zeros({extent.t, extent.h, extent.w, channels});
  kernels::Context context;
  const kernels::Conv3d conv(shape, weight, bias);
  const VideoExtent out = kernels::conv3d_output(shape, extent);
  const int64_t outputs = channels * out.t * out.h * out.w;
  const Work work = {.flops = static_cast<double>(2 * (27 * channels * outputs)),
                     .bytes = static_cast<double>((x.count() + weight.count() + outputs) * 4)};
  measure(state, work, [&] { benchmark::DoNotOptimize(conv.run(x, context).data()); });
}

}  // namespace

void register_conv3d() {
  for (const Crop& crop : kCrops) {
    const VideoExtent& x = crop.extent;
    add_bench("conv3d/onednn/" + std::to_string(x.t) + "x" + std::to_string(x.h) + "x" +
                  std::to_string(x.w) + "x" + std::to_string(crop.channels),
              [crop](benchmark::State& state) { bench_conv(state, crop); });
  }
}

}  // namespace mxvideo::bench
