// The rows of the Ascend NPU against those of the host, on the stand-in of CANN. Inputs are numbers
// that BF16 holds; a bound is the number of roundings to BF16 on the way, which in the root of the
// mean square are at most 2^-9 each, and 0 where nothing is rounded.
#include <array>
#include <cmath>

#include "ascend/rows_fixture.h"
#include "kernels/attention/attention.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm_mx/gemm_mx.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/matmul/matmul.h"
#include "kernels/quantize_mx/quantize_mx.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"

namespace mxvideo::test {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): every operation of it

constexpr double kAlmostFp32 = 0.01;  // of a rounding to BF16: sums in another order

template <class... Tensors>
std::vector<Tensor> list(Tensors... tensors) {
  std::vector<Tensor> result;
  (result.push_back(std::move(tensors)), ...);
  return result;
}

// Codes and scales of [m, k].
struct Quantized {
  Tensor codes, scales;
  Quantized(Maker& make, int64_t m, int64_t k)
      : codes(make.result_bytes(m * k)), scales(make.result_bytes(m * (k / 32))) {}
  MxOutput output(const formats::MxOptions& options = {}) {
    return {.codes = codes, .scales = scales, .options = options};
  }
};

TEST(AscendRows, Elementwise) {
  for (const auto op :
       {ElementwiseOp::kSilu, ElementwiseOp::kGeluTanh, ElementwiseOp::kGeluTanhMultiply,
        ElementwiseOp::kAdd, ElementwiseOp::kScaledAdd}) {
    SCOPED_TRACE(static_cast<int>(op));
    expect_parity(
        [&](Maker& make) {
          const Tensor x = make.activations({3, 37}), z = make.activations({3, 37});
          Tensor y = make.result({3, 37}), wide = make.result_f32({3, 37});
          for (Tensor* to : {&y, &wide}) {
            elementwise({.op = op, .x = x, .z = z, .y = *to, .count = 111, .alpha = 0.5f},
                        make.context());
          }
          return list(std::move(y), std::move(wide));
        },
        2);
  }
}

TEST(AscendRows, RmsNorm) {
  for (const auto kind : {RmsNormKind::kMeanSquare, RmsNormKind::kL2}) {
    for (const bool silu : {false, true}) {
      expect_parity(
          [&](Maker& make) {
            const Tensor x = make.activations({5, 48}), wide = make.f32({5, 48}),
                         weight = make.f32({40});
            Tensor y = make.result({5, 40}), z = make.result({5, 40});
            RmsNormArgs args{.x = x,
                             .y = y,
                             .rows = 5,
                             .dim = 40,
                             .weight = weight,
                             .kind = kind,
                             .silu = silu,
                             .x_stride = 48};
            rms_norm(args, make.context());
            args.x = wide;
            args.y = z;
            rms_norm(args, make.context());
            return list(std::move(y), std::move(z));
          },
          2);
    }
  }
}

TEST(AscendRows, LayerNormAndItsModulationByRunsOfRows) {
  const std::vector<RowRun> runs{{0, 2, 1}, {2, 5, 0}};
  const std::vector<int32_t> rows{1, 1, 0, 0, 0, 0, 0};
  for (const bool modulated : {false, true}) {
    for (const int64_t first : {0, 1}) {
      expect_parity(
          [&](Maker& make) {
            const int64_t count = 7 - first, dim = 96;
            const Tensor x = make.f32({count, dim}), weight = make.f32({dim}),
                         bias = make.f32({dim}), table = make.f32({2, 3, dim}, 0.2f);
            const Tensor row = make.indices({rows.begin() + first, rows.end()});
            Tensor y = make.result_f32({count, dim}), narrow = make.result({count, dim});
            LayerNormArgs args{.x = x, .y = y, .rows = count, .dim = dim};
            if (modulated) {
              args.scale = table.from(dim);
              args.shift = table.from(2 * dim);
              args.modulation_stride = 3 * dim;
              args.modulation_row = row;
              args.modulation_runs = {runs.data(), 2, first};
            } else {
              args.weight = weight;
              args.bias = bias;
            }
            layer_norm(args, make.context());
            args.y = narrow;
            layer_norm(args, make.context());
            return list(std::move(y), std::move(narrow));
          },
          1);
    }
  }
}

TEST(AscendRows, RowsOfSeveralVectorsWithoutRunsAreRefusedByName) {
  StandInNpu npu;
  Context context({}, npu.device());
  Maker make(context);
  const Tensor x = make.f32({2, 32}), table = make.f32({2, 32});
  const Tensor rows = make.indices({0, 1});
  Tensor y = make.result_f32({2, 32});
  const Error error = expect_error([&] {
    layer_norm({.x = x,
                .y = y,
                .rows = 2,
                .dim = 32,
                .scale = table,
                .shift = table,
                .modulation_stride = 32,
                .modulation_row = rows},
               context);
  });
  EXPECT_EQ(error.code(), Code::kUnsupported);
  EXPECT_NE(std::string(error.what()).find("runs of rows"), std::string::npos) << error.what();
}

// Bit for bit, with and without padded scales.
TEST(AscendRows, QuantizeMx) {
  for (const auto rule : {formats::ScaleRule::kRceil, formats::ScaleRule::kFloor}) {
    for (const int64_t k : {32, 64, 96, 160}) {
      expect_parity(
          [&](Maker& make) {
            const Tensor x = make.f32({5, k}, 3);
            const Tensor narrow = make.activations({5, k});
            Quantized a(make, 5, k), b(make, 5, k);
            const formats::MxOptions options{.scale_rule = rule};
            QuantizeMxArgs args{
                .x = x, .codes = a.codes, .scales = a.scales, .m = 5, .k = k, .options = options};
            quantize_mx(args, make.context());
            args.x = narrow;
            args.codes = b.codes;
            args.scales = b.scales;
            quantize_mx(args, make.context());
            return list(std::move(a.codes), std::move(a.scales), std::move(b.codes),
                        std::move(b.scales));
          },
          0);
    }
  }
}

TEST(AscendRows, QuantizersThatTheNpuHasNotAreRefusedByName) {
  StandInNpu npu;
  Context context({}, npu.device());
  Maker make(context);
  const Tensor x = make.f32({1, 32});
  Quantized to(make, 1, 32);
  for (const formats::MxOptions& options :
       {formats::MxOptions{.element = formats::MxElement::kInt8},
        formats::MxOptions{.scale_rule = formats::ScaleRule::kCeil},
        formats::MxOptions{.scale_rule = formats::ScaleRule::kFloor, .flush_tiny_blocks = true}}) {
    const Error error = expect_error([&] {
      quantize_mx(
          {.x = x, .codes = to.codes, .scales = to.scales, .m = 1, .k = 32, .options = options},
          context);
    });
    EXPECT_EQ(error.code(), Code::kUnsupported) << error.what();
  }
}

TEST(AscendRows, GemmMxWithEveryEpilogue) {
  const std::vector<RowRun> runs{{0, 2, 1}, {2, 3, 0}};
  for (const int64_t k : {64, 96}) {
    for (const auto kind : {Epilogue::kNone, Epilogue::kGeluTanh, Epilogue::kGatedResidual}) {
      for (const bool gated : {false, true}) {
        if (gated && kind != Epilogue::kGatedResidual) continue;
        expect_parity(
            [&](Maker& make) {
              constexpr int64_t kM = 5, kN = 48;
              Context& context = make.context();
              Context on_host;
              Maker host(on_host);
              const Tensor w = host.f32({kN, k}, 0.1f);
              const MxWeightPtr weight = quantize_mx_weight(w.view(), {}, context);
              const Tensor x = make.activations({kM, k}), bias = make.f32({kN}),
                           gate = make.f32({2, kN});
              const Tensor rows = make.indices({1, 1, 0, 0, 0});
              Tensor residual = make.f32({kM, kN}), y = make.result({kM, kN});
              Quantized codes(make, kM, k);
              quantize_mx({.x = x,
                           .codes = codes.codes,
                           .scales = codes.scales,
                           .m = kM,
                           .k = k,
                           .options = {}},
                          context);
              GemmMxArgs args{.x_codes = codes.codes,
                              .x_scales = codes.scales,
                              .weight = weight.get(),
                              .y = y,
                              .m = kM,
                              .epilogue = {.kind = kind, .bias = bias}};
              if (kind == Epilogue::kGatedResidual) {
                args.y = residual;
                args.epilogue.residual = residual;
                if (gated) {
                  args.epilogue.gate = gate;
                  args.epilogue.gate_stride = kN;
                  args.epilogue.gate_row = rows;
                  args.epilogue.gate_runs = {runs.data(), 2, 0};
                }
              }
              gemm_mx(args, context);
              if (kind == Epilogue::kGatedResidual) return list(std::move(residual));
              return list(std::move(y));
            },
            kind == Epilogue::kGatedResidual ? kAlmostFp32 : 2);
      }
    }
  }
}

TEST(AscendRows, GemmMxQuantizesItsResult) {
  const Results results = run_on_both([](Maker& make) {
    constexpr int64_t kM = 3, kN = 64, kK = 64;
    Context on_host;
    Maker host(on_host);
    const Tensor w = host.f32({kN, kK}, 0.1f);
    const MxWeightPtr weight = quantize_mx_weight(w.view(), {}, make.context());
    const Tensor x = make.activations({kM, kK});
    Quantized codes(make, kM, kK), result(make, kM, kN);
    quantize_mx(
        {.x = x, .codes = codes.codes, .scales = codes.scales, .m = kM, .k = kK, .options = {}},
        make.context());
    gemm_mx({.x_codes = codes.codes,
             .x_scales = codes.scales,
             .weight = weight.get(),
             .mx = result.output(),
             .m = kM,
             .epilogue = {.kind = Epilogue::kGeluTanh}},
            make.context());
    return list(std::move(result.codes), std::move(result.scales));
  });
  EXPECT_EQ(results.npu[1], results.host[1]) << "scales";
  // What BF16 moved to the other side of a rounding boundary of E4M3 is one code away.
  int differ = 0;
  for (size_t i = 0; i < results.host[0].size(); ++i) {
    const float distance = std::abs(results.npu[0][i] - results.host[0][i]);
    differ += distance != 0 ? 1 : 0;
    EXPECT_LE(distance == 128 ? 0 : distance, 1) << i;
  }
  EXPECT_LT(differ, static_cast<int>(results.host[0].size() / 10));
}

TEST(AscendRows, WeightsAreThoseOfTheHostBitForBit) {
  StandInNpu npu;
  Context host, context({}, npu.device());
  Maker make(host);
  for (const int64_t k : {64, 96}) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      const Tensor stored = make.of(dtype, {7, k});
      std::vector<uint8_t> codes[2], scales[2];
      int i = 0;
      for (Context* each : {&host, &context}) {
        codes[i].resize(static_cast<size_t>(7 * k));
        scales[i].resize(static_cast<size_t>(7 * k / 32));
        const MxWeightPtr weight = quantize_mx_weight(stored.view(), {}, *each);
        EXPECT_FALSE(weight->has_nan());
        weight->unpack(codes[i].data(), scales[i].data());
        ++i;
      }
      EXPECT_EQ(codes[1], codes[0]);
      EXPECT_EQ(scales[1], scales[0]);
      const MxWeightPtr again = pack_mx_weight(
          {.codes = codes[0].data(), .scales = scales[0].data(), .n = 7, .k = k}, context);
      again->unpack(codes[1].data(), scales[1].data());
      EXPECT_EQ(codes[1], codes[0]);
      EXPECT_EQ(scales[1], scales[0]);
    }
  }
}

TEST(AscendRows, Matmul) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const int64_t m : {3, 70}) {
      for (const auto kind : {Epilogue::kNone, Epilogue::kGeluTanh, Epilogue::kGatedResidual}) {
        expect_parity(
            [&](Maker& make) {
              constexpr int64_t kN = 24, kK = 40;
              const Tensor x = make.activations({m, kK + 8}), wide = make.f32({m, kK + 8});
              const Tensor weight = make.of(dtype, {kN, kK}), bias = make.f32({kN});
              const Tensor residual = make.f32({m, kN});
              Tensor y = make.result({m, kN + 2}), z = make.result_f32({m, kN});
              MatmulArgs args{.x = x,
                              .x_stride = kK + 8,
                              .weight = weight,
                              .weight_dtype = dtype,
                              .y = y,
                              .y_stride = kN + 2,
                              .m = m,
                              .n = kN,
                              .k = kK,
                              .epilogue = {.kind = kind, .bias = bias}};
              if (kind == Epilogue::kGatedResidual) {
                args.epilogue.residual = residual;
                args.epilogue.residual_stride = kN;
              }
              matmul(args, make.context());
              args.x = wide;
              args.y = z;
              args.y_stride = 0;
              args.epilogue.bias = nullptr;
              matmul(args, make.context());
              // Not the columns behind y's rows.
              Tensor rows = make.result({m, kN});
              for (int64_t i = 0; i < m; ++i) {
                elementwise({.op = ElementwiseOp::kScaledAdd,
                             .x = y.from(i * (kN + 2)),
                             .z = x,
                             .y = rows.from(i * kN),
                             .count = kN,
                             .alpha = 0},
                            make.context());
              }
              return list(std::move(rows), std::move(z));
            },
            3);
      }
    }
  }
}

TEST(AscendRows, Rope) {
  expect_parity(
      [](Maker& make) {
        Tensor x = make.activations({5, 3, 16});
        const Tensor cos = make.f32({5, 8}), sin = make.f32({5, 8}), weight = make.f32({48});
        const RopeArgs args{.x = x, .cos = cos, .sin = sin, .rows = 5, .heads = 3, .head_dim = 16};
        rope(args, make.context());
        rms_norm_rope({.x = x, .y = x, .rows = 5, .dim = 48, .weight = weight}, args,
                      make.context());
        return list(std::move(x));
      },
      4);
}

struct AttentionCase {
  int64_t q = 9, kv = 11, heads = 2, head_dim = 32, repeats = 1;
  bool normed = false, biased = false, strided = false;
};

TEST(AscendRows, Attention) {
  const AttentionCase cases[] = {
      {},
      {.head_dim = 24},
      {.kv = 3, .repeats = 5, .normed = true},
      {.kv = 9, .normed = true},
      {.heads = 3, .head_dim = 16, .biased = true},
      {.kv = 9, .heads = 1, .head_dim = 384, .strided = true},
      {.kv = 1, .head_dim = 40, .repeats = 7},
  };
  for (const AttentionCase& c : cases) {
    expect_parity(
        [&](Maker& make) {
          const int64_t width = c.heads * c.head_dim, stride = c.strided ? 3 * width : width;
          const Tensor q = make.activations({c.q, stride}), k = make.activations({c.kv, stride}),
                       v = make.activations({c.kv, stride});
          const Tensor weight = make.f32({width}), cos = make.f32({9, c.head_dim / 2}),
                       sin = make.f32({9, c.head_dim / 2}),
                       bias = make.f32({c.heads, c.q + c.kv - 1});
          Tensor out = make.result({c.q, width});
          AttentionArgs args{.q = q,
                             .k = k,
                             .v = v,
                             .out = out,
                             .q_length = c.q,
                             .kv_length = c.kv,
                             .last_key_count = c.repeats,
                             .heads = c.heads,
                             .head_dim = c.head_dim,
                             .q_stride = stride,
                             .kv_stride = stride,
                             .scale = 1 / std::sqrt(static_cast<float>(c.head_dim))};
          if (c.normed) {
            args.q_norm = {.weight = weight, .cos = cos, .sin = sin};
            if (c.kv == c.q) args.k_norm = args.q_norm;
          }
          if (c.biased) args.relative_bias = bias;
          attention(args, make.context());
          return list(std::move(out));
        },
        // Roundings of the scores' operands come through the exponential.
        c.normed ? 8 : 2);
  }
}

TEST(AscendRows, IntegerAttentionIsRefusedByName) {
  StandInNpu npu;
  Context context({.attention = AttentionProducts::kInt8}, npu.device());
  Maker make(context);
  const Tensor q = make.activations({2, 32});
  Tensor out = make.result({2, 32});
  const Error error = expect_error([&] {
    attention({.q = q,
               .k = q,
               .v = q,
               .out = out,
               .q_length = 2,
               .kv_length = 2,
               .heads = 1,
               .head_dim = 32,
               .products = AttentionProducts::kInt8},
              context);
  });
  EXPECT_EQ(error.code(), Code::kUnsupported) << error.what();
}

}  // namespace
}  // namespace mxvideo::test
