// The rows of the Ascend NPU for layouts, convolutions, tables and the sampler, as rows_test.cpp
// has the others.
#include <array>
#include <limits>

#include "ascend/rows_fixture.h"
#include "kernels/conv3d/conv3d.h"
#include "kernels/layout/blend.h"
#include "kernels/layout/channel_affine.h"
#include "kernels/layout/copy_nd.h"
#include "kernels/layout/fill.h"
#include "kernels/layout/fold.h"
#include "kernels/layout/gather_rows.h"
#include "kernels/sampler/guidance.h"
#include "kernels/sampler/non_finite.h"
#include "kernels/sampler/unipc_step.h"
#include "kernels/tables/rope_tables.h"
#include "kernels/tables/time_sinusoid.h"

namespace mxvideo::test {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): every operation of it

constexpr double kAlmostFp32 = 0.01;

template <class... Tensors>
std::vector<Tensor> list(Tensors... tensors) {
  std::vector<Tensor> result;
  (result.push_back(std::move(tensors)), ...);
  return result;
}

// Transposes, windows that begin anywhere, repeated values, and other types.
TEST(AscendLayoutRows, CopyNd) {
  expect_parity(
      [](Maker& make) {
        const Tensor x = make.f32({6, 7, 5}), half = make.activations({6, 7, 5});
        Tensor turned = make.result_f32({5, 7, 6}), window = make.result({3, 4, 5}),
               repeated = make.result_f32({6, 2, 7}), clamped = make.result_f32({210});
        Context& context = make.context();
        copy_nd({.x = x, .y = turned, .axes = {{{6, 35, 1}, {7, 5, 6}, {5, 1, 42}}}}, context);
        copy_nd({.x = half.from(2 * 35 + 5 + 1),
                 .y = window,
                 .axes = {{{3, 35, 20}, {4, 5, 5}, {4, 1, 1}}}},
                context);
        copy_nd({.x = half.from(4), .y = window.from(4), .axes = {{{12, 5, 5}}}}, context);
        copy_nd({.x = half.from(1), .y = repeated, .axes = {{{6, 35, 14}, {2, 0, 7}, {7, 5, 1}}}},
                context);
        copy_nd({.x = x, .y = clamped, .axes = {{{210, 1, 1}}}, .values = CopyValues::kClampToOne},
                context);
        return list(std::move(turned), std::move(window), std::move(repeated), std::move(clamped));
      },
      0);
}

TEST(AscendLayoutRows, Fill) {
  expect_parity(
      [](Maker& make) {
        Tensor y = make.activations({4, 9}), z = make.f32({4, 9});
        fill({.y = y.from(9), .width = 18}, make.context());
        fill({.y = z.from(2), .value = 1.5f, .rows = 4, .width = 3, .stride = 9}, make.context());
        fill({.y = z.from(6), .rows = 3, .width = 2, .stride = 9}, make.context());
        return list(std::move(y), std::move(z));
      },
      0);
}

TEST(AscendLayoutRows, Fold) {
  expect_parity(
      [](Maker& make) {
        Context& context = make.context();
        // Windows that begin within the frame, frames that are missing or dropped.
        const Tensor fine = make.activations({3, 8, 6, 4}), coarse = make.activations({2, 3, 3, 8});
        Tensor down = make.activations({2, 3, 2, 16}), up = make.activations({3, 4, 5, 4});
        fold({.op = FoldOp::kAverageDown,
              .x = fine,
              .y = down,
              .from = {3, 8, 6, 4, 2, 4},
              .to = {2, 3, 2, 16, 2, 2},
              .time = 2,
              .space = 2},
             context);
        fold({.op = FoldOp::kDuplicateUp,
              .x = coarse,
              .y = up,
              .from = {2, 3, 3, 8, 1, 1},
              .to = {3, 4, 5, 4, 3, 2},
              .time = 2,
              .space = 2},
             context);
        return list(std::move(down), std::move(up));
      },
      1);
}

TEST(AscendLayoutRows, BlendAndChannelAffine) {
  expect_parity(
      [](Maker& make) {
        Context& context = make.context();
        const Tensor x = make.activations({3, 5, 4}), latents = make.f32({4, 10});
        Tensor y = make.activations({3, 6, 4}), normal = make.result_f32({4, 10}),
               back = make.result_f32({4, 10});
        blend({.x = x.from(4),
               .y = y,
               .from = {.row = 20, .step = 4},
               .to = {.row = 24, .step = 4},
               .rows = 3,
               .steps = 4,
               .width = 4},
              context);
        ChannelAffineArgs args{.x = latents,
                               .y = normal,
                               .per_channel = 10,
                               .mean = {1, -2, 0.5f, 0},
                               .deviation = {2, 3, 0.7f, 1}};
        channel_affine(args, context);
        args.op = ChannelAffineOp::kDenormalize;
        args.y = back;
        channel_affine(args, context);
        return list(std::move(y), std::move(normal), std::move(back));
      },
      1);
}

TEST(AscendLayoutRows, GatherRows) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    expect_parity(
        [&](Maker& make) {
          const Tensor table = make.of(dtype, {9, 5});
          Tensor rows = make.result_f32({4, 5}), columns = make.result_f32({5, 4});
          GatherRowsArgs args{.table = table,
                              .dtype = dtype,
                              .width = 5,
                              .ids = {8, 0, 3, 3},
                              .y = rows,
                              .row_stride = 5};
          gather_rows(args, make.context());
          args.y = columns;
          args.row_stride = 1;
          args.column_stride = 4;
          gather_rows(args, make.context());
          return list(std::move(rows), std::move(columns));
        },
        0);
  }
}

TEST(AscendLayoutRows, Conv3d) {
  const Conv3dShape even{.in_channels = 3,
                         .out_channels = 5,
                         .kernel_t = 3,
                         .kernel_h = 3,
                         .kernel_w = 3,
                         .pad_top = 1,
                         .pad_bottom = 1,
                         .pad_left = 1,
                         .pad_right = 1};
  const Conv3dShape uneven{.in_channels = 4,
                           .out_channels = 2,
                           .kernel_h = 3,
                           .kernel_w = 3,
                           .stride_h = 2,
                           .stride_w = 2,
                           .pad_bottom = 1,
                           .pad_right = 1};
  const Conv3dShape in_time{.in_channels = 3, .out_channels = 6, .kernel_t = 3, .stride_t = 2};
  for (const auto& [shape, zeros] :
       {std::pair{even, 2}, std::pair{even, 0}, std::pair{uneven, 0}, std::pair{in_time, 1}}) {
    expect_parity(
        [&, shape = shape, zeros = zeros](Maker& make) {
          Context on_host;
          Maker host(on_host, 7);
          const Tensor weight = host.f32({shape.out_channels, shape.in_channels, shape.kernel_t,
                                          shape.kernel_h, shape.kernel_w});
          const Tensor bias = host.f32({shape.out_channels});
          const Conv3d conv(shape, weight.view(), bias.view(), make.context().device());
          const Tensor x = make.activations({4, 6, 7, shape.in_channels});
          Tensor y = conv.run(x, make.context(), zeros);
          make.context().device().synchronize();
          return list(std::move(y));
        },
        2);
  }
}

TEST(AscendLayoutRows, Tables) {
  expect_parity(
      [](Maker& make) {
        Tensor cos = make.result_f32({24, 8}), sin = make.result_f32({24, 8}),
               time = make.result_f32({2, 16});
        rope_tables({.cos = cos, .sin = sin, .frames = 2, .rows = 3, .columns = 4, .head_dim = 16},
                    make.context());
        time_sinusoid({.timesteps = {3, 700}, .y = time, .dim = 16}, make.context());
        return list(std::move(cos), std::move(sin), std::move(time));
      },
      0);
}

TEST(AscendLayoutRows, Sampler) {
  for (const int order : {1, 2}) {
    for (const bool correct : {false, true}) {
      expect_parity(
          [&](Maker& make) {
            Context& context = make.context();
            const Tensor v = make.f32({50}), uncond = make.f32({50});
            Tensor x = make.f32({50}), last = make.f32({50}), newer = make.f32({50}),
                   older = make.f32({50}), guided = make.result_f32({50});
            guidance({.cond = v, .uncond = uncond, .y = guided, .count = 50, .scale = 3.5f},
                     context);
            UniPcStepArgs step{.v = guided,
                               .x = x,
                               .last_sample = last,
                               .newer_x0 = newer,
                               .older_x0 = older,
                               .count = 50,
                               .sigma = 0.7f,
                               .correct = correct};
            step.corrector = {.order = order,
                              .sample_scale = 0.8f,
                              .model_scale = 0.3f,
                              .residual_scale = 0.2f,
                              .lambda_ratio = 1.3f,
                              .older_weight = 0.4f,
                              .newer_weight = 0.6f};
            step.predictor = {.order = order,
                              .sample_scale = 0.9f,
                              .model_scale = -0.2f,
                              .residual_scale = 0.5f,
                              .lambda_ratio = -0.8f,
                              .older_weight = 0.5f};
            unipc_step(step, context);
            return list(std::move(guided), std::move(x), std::move(last), std::move(newer),
                        std::move(older));
          },
          kAlmostFp32);
    }
  }
}

TEST(AscendLayoutRows, NonFinite) {
  for (const float odd :
       {1.0f, std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN()}) {
    expect_parity(
        [&](Maker& make) {
          Tensor host = Tensor::zeros({70});
          host.f32()[69] = odd;
          const Tensor x = host.copy_to(make.context().device());
          Tensor found(DType::kI32, {1}, make.context().device());
          non_finite({.x = x, .count = 70, .found = found}, make.context());
          make.context().device().synchronize();
          return list(std::move(found));
        },
        0);
  }
}

}  // namespace
}  // namespace mxvideo::test
