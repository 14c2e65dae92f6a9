// What calls of each operation do, counted by hand, and samples that do what they say.
#include "kernels/common/workload.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "kernels/attention/attention.h"
#include "kernels/conv3d/conv3d.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm_mx/gemm_mx.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/layout/blend.h"
#include "kernels/layout/channel_affine.h"
#include "kernels/layout/copy_nd.h"
#include "kernels/layout/fill.h"
#include "kernels/layout/fold.h"
#include "kernels/layout/gather_rows.h"
#include "kernels/matmul/matmul.h"
#include "kernels/rope/rope.h"
#include "kernels/sampler/guidance.h"
#include "kernels/sampler/non_finite.h"
#include "kernels/sampler/unipc_step.h"
#include "kernels/tables/rope_tables.h"
#include "kernels/tables/time_sinusoid.h"

namespace mxvideo::kernels {
namespace {

float some_float;  // an operand that is there
const DevicePtr<const float> kThere = &some_float;

using Noted = std::map<std::string, std::pair<double, double>>;  // op -> flops, bytes

// Notes what is called through `context`.
void listen(Context& context, Noted& noted) {
  context.on_work = [&noted](const char* op, const char*, const Workload& workload) {
    noted[op].first += workload.work.flops;
    noted[op].second += workload.work.bytes;
  };
}

void expect_work(const Workload& workload, double flops, double bytes) {
  EXPECT_EQ(workload.work.flops, flops) << workload.shape;
  EXPECT_EQ(workload.work.bytes, bytes) << workload.shape;
}

// The sample calls `op` once, and that call does what `sample_work` says.
void expect_honest_sample(const std::string& op, const Workload& workload) {
  const SampleCall call = workload.sample(cpu_device());
  Context context(RunPolicy{.compute = Compute::kFast});
  Noted noted;
  listen(context, noted);
  call(context);
  const Noted expected = {{op, {workload.sample_work.flops, workload.sample_work.bytes}}};
  EXPECT_EQ(noted, expected) << op << " " << workload.shape;
  EXPECT_LE(workload.sample_work.amount(), workload.work.amount()) << workload.shape;
}

// A weight without elements, of which only the sizes count.
class SizedWeight final : public MxWeight {
 public:
  SizedWeight(int64_t rows, int64_t columns, formats::MxElement of = formats::MxElement::kE4m3) {
    n = rows;
    k = columns;
    element = of;
  }
  DeviceKind device() const override { return DeviceKind::kCpu; }
  int64_t bytes() const override { return 0; }
  bool has_nan() const override { return false; }
  double rounding_noise(std::string_view) const override { return 0; }
  void unpack(uint8_t*, uint8_t*) const override {}
};

TEST(Workload, OfProductsWithDenseWeights) {
  // x of 3x5 and y of 3x7 floats, 7x5 weights of two bytes, a bias of 7 floats.
  const MatmulArgs args = {
      .weight_dtype = DType::kBF16, .m = 3, .n = 7, .k = 5, .epilogue = {.bias = kThere}};
  expect_work(workload(args), 210, 60 + 84 + 70 + 28);
  EXPECT_EQ(workload(args).shape, "3x7x5 BF16");
  // And a residual as y, and a row of a gate.
  MatmulArgs gated = args;
  gated.epilogue = {.kind = Epilogue::kGatedResidual, .residual = kThere, .gate = kThere};
  expect_work(workload(gated), 210, 60 + 84 + 70 + 84 + 28);
  EXPECT_EQ(workload(gated).shape, "3x7x5 BF16 gated");
}

TEST(Workload, OfProductsWithMxWeights) {
  // A byte for each element and a scale for 32 of them: 2x64 and 3x64 codes; y of 2x3 floats.
  const SizedWeight weight(3, 64);
  const GemmMxArgs args = {.weight = &weight, .m = 2};
  expect_work(workload(args), 768, 128 + 4 + 192 + 6 + 24);
}

TEST(Workload, OfAttention) {
  // Two heads of 8: scores and values are 2·5·7·8 each and head; q, out 5x16, k, v 7x16 floats.
  const AttentionArgs args = {.q_length = 5, .kv_length = 7, .heads = 2, .head_dim = 8};
  expect_work(workload(args), 2 * 2 * 560, 2 * 320 + 2 * 448);
}

TEST(Workload, OfConvolutions) {
  // 3x3 without padding: 4x5 pixels become 2x3; 2·(2·3·9) flops each. Floats of x, weights, bias,
  // y.
  const Conv3dCall call = {
      .shape = {.in_channels = 2, .out_channels = 3, .kernel_h = 3, .kernel_w = 3},
      .extent = {.t = 1, .h = 4, .w = 5}};
  expect_work(workload(call), 108 * 6, 4 * (40 + 54 + 3 + 18));
}

TEST(Workload, OfVectorOperations) {
  expect_work(workload(ElementwiseArgs{.op = ElementwiseOp::kSilu, .count = 10}), 0, 80);
  expect_work(workload(ElementwiseArgs{.op = ElementwiseOp::kAdd, .count = 10}), 0, 120);
  expect_work(workload(LayerNormArgs{.rows = 3, .dim = 5}), 0, 120);
  expect_work(workload(LayerNormArgs{.rows = 3, .dim = 5, .scale = kThere, .shift = kThere}), 0,
              160);
  expect_work(workload(RmsNormArgs{.rows = 3, .dim = 5, .weight = kThere}), 0, 140);
  // Each of 3 rows: 2 heads of 4 read and written, two halves of 4 turned by.
  expect_work(workload(RopeArgs{.rows = 3, .heads = 2, .head_dim = 4}), 0, 3 * (64 + 16));
  // 64 floats to 64 codes and 2 scales.
  expect_work(workload(QuantizeMxArgs{.m = 2, .k = 32, .options = {}}), 0, 256 + 64 + 2);
}

TEST(Workload, OfMoves) {
  expect_work(workload(FillArgs{.rows = 3, .width = 5}), 0, 60);
  expect_work(workload(BlendArgs{.rows = 2, .steps = 3, .width = 5}), 0, 360);
  expect_work(workload(ChannelAffineArgs{.per_channel = 6, .mean = {0, 0}, .deviation = {1, 1}}), 0,
              96 + 16);
  // 2x3 floats to 2x3x4, each read once.
  const CopyNdArgs repeated = {.axes = {{{2, 3, 12}, {3, 1, 4}, {4, 0, 1}}}};
  expect_work(workload(repeated), 0, 24 + 96);
  const FoldExtent small = {.frames = 1, .rows = 2, .columns = 3, .channels = 4};
  const FoldExtent large = {.frames = 2, .rows = 4, .columns = 6, .channels = 2};
  expect_work(workload(FoldArgs{
                  .op = FoldOp::kDuplicateUp, .from = small, .to = large, .time = 2, .space = 2}),
              0, 4 * (24 + 2 * 96));
  expect_work(workload(GatherRowsArgs{.dtype = DType::kF16, .width = 5, .ids = {1, 2}}), 0, 60);
}

TEST(Workload, OfTheSampler) {
  expect_work(workload(GuidanceArgs{.count = 5}), 0, 60);
  expect_work(workload(NonFiniteArgs{.count = 5}), 0, 20);
  // v, x, s, m, m' in; x, s, m, m' out.
  expect_work(workload(UniPcStepArgs{.count = 5}), 0, 180);
  expect_work(workload(RopeTablesArgs{.frames = 2, .rows = 3, .columns = 5, .head_dim = 8}), 0,
              30 * 8 * 4);
  expect_work(workload(TimeSinusoidArgs{.timesteps = {1, 2}, .dim = 8}), 0, 8 + 64);
}

// What several operations do in one call counts for each of them, whole and once.
TEST(Workload, OfFusedCalls) {
  constexpr int64_t kQ = 6, kKv = 4, kHeads = 2, kHeadDim = 32, kWidth = kHeads * kHeadDim;
  std::vector<float> values(kQ * kWidth, 0.5F);
  std::vector<uint8_t> codes(kQ * kWidth);
  const MxOutput mx = {.codes = codes.data(), .scales = codes.data(), .options = {}};
  const double quantized = kQ * kWidth * 5 + kQ * kWidth / 32;
  Context context;
  Noted noted;
  listen(context, noted);
  layer_norm_mx({.x = values.data(), .rows = kQ, .dim = kWidth}, mx, context);
  EXPECT_EQ(noted,
            (Noted{{"layer_norm", {0, 4 * 2 * kQ * kWidth}}, {"quantize_mx", {0, quantized}}}));

  noted.clear();
  const AttentionNorm norm = {.weight = values.data(), .cos = values.data(), .sin = values.data()};
  attention({.q = values.data(),
             .k = values.data(),
             .v = values.data(),
             .q_length = kQ,
             .kv_length = kKv,
             .heads = kHeads,
             .head_dim = kHeadDim,
             .q_norm = norm,
             .k_norm = norm,
             .mx = mx},
            context);
  EXPECT_EQ(noted, (Noted{{"attention", {4 * kQ * kKv * kWidth, 4 * 2 * (kQ + kKv) * kWidth}},
                          {"rms_norm", {0, 4 * kWidth * (2 * (kQ + kKv) + 2)}},
                          {"rope", {0, 4 * (kQ + kKv) * (2 * kWidth + kHeadDim)}},
                          {"quantize_mx", {0, quantized}}}));

  noted.clear();
  const MxWeightPtr weight = pack_mx_weight(
      {.codes = codes.data(), .scales = codes.data(), .n = kHeadDim, .k = kHeadDim}, context);
  noted.clear();
  gemm_mx({.x_codes = codes.data(),
           .x_scales = codes.data(),
           .weight = weight.get(),
           .mx = mx,
           .m = kQ},
          context);
  EXPECT_EQ(noted["quantize_mx"].second, kQ * kHeadDim * 5 + kQ);
  EXPECT_EQ(noted["gemm_mx"].first, 2 * kQ * kHeadDim * kHeadDim);
}

// Sizes beyond those of samples, so that something is cut, and small ones.
TEST(Workload, SamplesDoWhatTheySay) {
  constexpr int64_t kMany = 3 * kSampleElements;
  for (const int64_t rows : {int64_t{3}, 3 * kSampleRows}) {
    const MatmulArgs product = {.m = rows, .n = 96, .k = 64};
    expect_honest_sample("matmul", workload(product));
    for (const auto element : {formats::MxElement::kE4m3, formats::MxElement::kInt8}) {
      const SizedWeight weight(96, 64, element);
      expect_honest_sample("gemm_mx", workload(GemmMxArgs{.weight = &weight, .m = rows}));
    }
  }
  const AttentionArgs heads = {.q_length = 2000, .kv_length = 40, .heads = 5, .head_dim = 16};
  expect_honest_sample("attention", workload(heads));
  AttentionArgs int8 = heads;
  int8.products = AttentionProducts::kInt8;
  expect_honest_sample("attention_int8", workload(int8));
  const Conv3dShape conv = {.in_channels = 64,
                            .out_channels = 64,
                            .kernel_t = 3,
                            .kernel_h = 3,
                            .kernel_w = 3,
                            .pad_top = 1,
                            .pad_bottom = 1,
                            .pad_left = 1,
                            .pad_right = 1};
  expect_honest_sample("conv3d", workload(Conv3dCall{conv, {.t = 3, .h = 400, .w = 500}}));
  expect_honest_sample("conv3d",
                       workload(Conv3dCall{conv, {.t = 1, .h = 5, .w = 6, .leading_zeros = 2}}));
  for (const int64_t rows : {int64_t{3}, kMany / 64}) {
    expect_honest_sample("elementwise", workload(ElementwiseArgs{.count = 64 * rows}));
    expect_honest_sample(
        "layer_norm",
        workload(LayerNormArgs{.rows = rows, .dim = 64, .scale = kThere, .shift = kThere}));
    expect_honest_sample("rms_norm", workload(RmsNormArgs{.rows = rows, .dim = 64}));
    expect_honest_sample("rope", workload(RopeArgs{.rows = rows, .heads = 2, .head_dim = 32}));
    expect_honest_sample("quantize_mx",
                         workload(QuantizeMxArgs{.m = rows, .k = 64, .options = {}}));
    expect_honest_sample("fill", workload(FillArgs{.rows = rows, .width = 64}));
    expect_honest_sample("blend", workload(BlendArgs{.rows = rows, .steps = 4, .width = 16}));
    expect_honest_sample(
        "channel_affine",
        workload(ChannelAffineArgs{.per_channel = rows * 32, .mean = {0, 0}, .deviation = {1, 1}}));
    expect_honest_sample("copy_nd", workload(CopyNdArgs{.axes = {{{rows, 900, 64}, {64, 3, 1}}}}));
    const std::vector<int32_t> ids(static_cast<size_t>(rows), 7);
    expect_honest_sample("gather_rows", workload(GatherRowsArgs{.width = 64, .ids = ids}));
    expect_honest_sample("guidance", workload(GuidanceArgs{.count = 64 * rows}));
    expect_honest_sample("non_finite", workload(NonFiniteArgs{.count = 64 * rows}));
    expect_honest_sample("unipc_step", workload(UniPcStepArgs{.count = 64 * rows}));
    expect_honest_sample(
        "rope_tables",
        workload(RopeTablesArgs{.frames = rows, .rows = 2, .columns = 4, .head_dim = 8}));
    const FoldExtent coarse = {.frames = 2, .rows = rows, .columns = 4, .channels = 8};
    const FoldExtent fine = {.frames = 3, .rows = 2 * rows, .columns = 8, .channels = 8};
    expect_honest_sample(
        "fold",
        workload(FoldArgs{
            .op = FoldOp::kDuplicateUp, .from = coarse, .to = fine, .time = 2, .space = 2}));
    expect_honest_sample(
        "fold",
        workload(FoldArgs{
            .op = FoldOp::kAverageDown, .from = fine, .to = coarse, .time = 2, .space = 2}));
  }
  expect_honest_sample("time_sinusoid", workload(TimeSinusoidArgs{.timesteps = {1}, .dim = 8}));
}

// A large run and a larger one have kinds of calls in common, so that rates serve both.
TEST(Workload, LargeCallsOfOneKindShareASample) {
  const MatmulArgs small = {.m = 3000, .n = 5120, .k = 5120};
  MatmulArgs large = small;
  large.m = 32000;
  EXPECT_EQ(workload(small).shape, workload(large).shape);
  EXPECT_NE(workload(small).work.flops, workload(large).work.flops);
  const AttentionArgs clip = {.q_length = 8000, .kv_length = 8000, .heads = 40, .head_dim = 128};
  AttentionArgs film = clip;
  film.q_length = film.kv_length = 75600;
  EXPECT_EQ(workload(clip).shape, workload(film).shape);
}

TEST(Repeats, MultiplyWhileTheyLive) {
  Context context;
  {
    const Repeats steps(context, 20);
    const Repeats tiles(context, 3);
    EXPECT_EQ(context.repeats, 60);
  }
  EXPECT_EQ(context.repeats, 1);
}

}  // namespace
}  // namespace mxvideo::kernels
