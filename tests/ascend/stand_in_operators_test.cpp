// What the stand-in computes, operator by operator, against loops written down here, published
// tables of torchao (tests/golden) and numbers by hand.
#include <algorithm>
#include <cmath>

#include "ascend/stand_in_fixture.h"
#include "support/golden_file.h"

namespace mxvideo::test {
namespace {

class StandInOperatorTest : public StandInTest {};

TEST_F(StandInOperatorTest, AddRoundsToTheTypeThatItsOperandsPromoteTo) {
  const Array& a = array({2, 3}, ACL_BF16, {1, 2, 3, 4, 5, 6});
  const Array& row = array({3}, ACL_FLOAT, {0.001f, 0.002f, 0.003f});
  const Array& wide = fresh({2, 3}, ACL_FLOAT);
  run(aclnnAdd, aclnnAddGetWorkspaceSize, a.tensor, row.tensor, scalar(2), wide.tensor);
  EXPECT_EQ(values(wide)[0], 1 + 2 * 0.001f);
  EXPECT_EQ(values(wide)[5], static_cast<float>(6 + 2.0 * 0.003f));
  const Array& narrow = fresh({2, 3}, ACL_BF16);
  run(aclnnAdd, aclnnAddGetWorkspaceSize, a.tensor, row.tensor, scalar(2), narrow.tensor);
  EXPECT_EQ(values(narrow)[0], 1.0f);  // BF16 has steps of 1/128 there
}

TEST_F(StandInOperatorTest, ProductsBroadcastOverStrides) {
  const Array& a = array({2, 3}, ACL_FLOAT, {1, 2, 3, 4, 5, 6});
  const Array& b = array({2}, ACL_FLOAT, {10, 100});
  const Array& y = fresh({3, 2}, ACL_FLOAT);
  run(aclnnMul, aclnnMulGetWorkspaceSize, view(a, {3, 2}, {1, 3}), b.tensor, y.tensor);
  EXPECT_EQ(values(y), (Floats{10, 400, 20, 500, 30, 600}));
  run(aclnnMuls, aclnnMulsGetWorkspaceSize, view(a, {3, 2}, {1, 3}), scalar(-2), y.tensor);
  EXPECT_EQ(values(y), (Floats{-2, -8, -4, -10, -6, -12}));
}

TEST_F(StandInOperatorTest, AddcmulIsTheGatedResidual) {
  const Array& residual = array({2, 2}, ACL_FLOAT, {1, 2, 3, 4});
  const Array& branch = array({2, 2}, ACL_BF16, {0.5f, 0.25f, 8, 16});
  const Array& gate = array({1, 2}, ACL_FLOAT, {0.1f, 3});
  run(aclnnAddcmul, aclnnAddcmulGetWorkspaceSize, residual.tensor, branch.tensor, gate.tensor,
      scalar(1), residual.tensor);
  const Floats out = values(residual);
  EXPECT_EQ(out[0], static_cast<float>(1 + 0.5 * 0.1f));
  EXPECT_EQ(out[1], 2.75f);
  EXPECT_EQ(out[2], static_cast<float>(3 + 8.0 * 0.1f));
  EXPECT_EQ(out[3], 52.0f);
}

TEST_F(StandInOperatorTest, ActivationsAreRoundedOnce) {
  const Array& x = array({5}, ACL_BF16, {-3, -0.5f, 0, 0.5f, 3});
  const Array& y = fresh({5}, ACL_BF16);
  run(aclnnGeluV2, aclnnGeluV2GetWorkspaceSize, x.tensor, int64_t{1}, y.tensor);
  const double half = 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (0.5 + 0.044715 * 0.125)));
  EXPECT_EQ(values(y)[3], bf16(0.5 * half));
  EXPECT_EQ(values(y)[2], 0.0f);
  run(aclnnGeluV2, aclnnGeluV2GetWorkspaceSize, x.tensor, int64_t{0}, y.tensor);
  EXPECT_EQ(values(y)[4], bf16(3 * 0.5 * (1 + std::erf(3 / std::sqrt(2.0)))));
  run(aclnnSilu, aclnnSiluGetWorkspaceSize, x.tensor, y.tensor);
  EXPECT_EQ(values(y)[0], bf16(-3 / (1 + std::exp(3.0))));
}

TEST_F(StandInOperatorTest, ClampAndTheQuestionWhetherAllIsFinite) {
  const Array& x = array({4}, ACL_FLOAT, {-5, 0.25f, 5, NAN});
  const Array& y = fresh({4}, ACL_FLOAT);
  run(aclnnClamp, aclnnClampGetWorkspaceSize, x.tensor, scalar(-1), scalar(1), y.tensor);
  EXPECT_EQ(values(y)[0], -1.0f);
  EXPECT_EQ(values(y)[1], 0.25f);
  EXPECT_EQ(values(y)[2], 1.0f);
  EXPECT_TRUE(std::isnan(values(y)[3]));
  const Array& finite = fresh({4}, ACL_BOOL);
  const Array& all = fresh({}, ACL_BOOL);
  run(aclnnIsFinite, aclnnIsFiniteGetWorkspaceSize, x.tensor, finite.tensor);
  EXPECT_EQ(bytes(finite), (Bytes{1, 1, 1, 0}));
  run(aclnnAll, aclnnAllGetWorkspaceSize, finite.tensor, integers({}), false, all.tensor);
  EXPECT_EQ(bytes(all), Bytes{0});
  run(aclnnLogicalNot, aclnnLogicalNotGetWorkspaceSize, all.tensor, all.tensor);
  EXPECT_EQ(bytes(all), Bytes{1});
}

TEST_F(StandInOperatorTest, AllReducesTheAxesThatItIsGiven) {
  const Array& x = array({2, 3}, ACL_FLOAT, {1, 1, 0, 2, 3, 4});
  const Array& rows = fresh({2}, ACL_BOOL);
  const Array& columns = fresh({1, 3}, ACL_BOOL);
  run(aclnnAll, aclnnAllGetWorkspaceSize, x.tensor, integers({-1}), false, rows.tensor);
  EXPECT_EQ(bytes(rows), (Bytes{0, 1}));
  run(aclnnAll, aclnnAllGetWorkspaceSize, x.tensor, integers({0}), true, columns.tensor);
  EXPECT_EQ(bytes(columns), (Bytes{1, 1, 0}));
}

TEST_F(StandInOperatorTest, CopiesTransposeBroadcastAndConvert) {
  const Array& x = array({2, 3}, ACL_FLOAT, {1, 2, 3, 4, 5, 6.001f});
  const Array& y = fresh({3, 2}, ACL_BF16);
  run(aclnnInplaceCopy, aclnnInplaceCopyGetWorkspaceSize, view(y, {2, 3}, {1, 2}), x.tensor);
  EXPECT_EQ(values(y), (Floats{1, 4, 2, 5, 3, 6}));
  const Array& row = array({3, 1}, ACL_BF16, {7, 8, 9});
  run(aclnnInplaceCopy, aclnnInplaceCopyGetWorkspaceSize, y.tensor, row.tensor);
  EXPECT_EQ(values(y), (Floats{7, 7, 8, 8, 9, 9}));
  const Array& z = fresh({3, 2}, ACL_FLOAT);
  run(aclnnCast, aclnnCastGetWorkspaceSize, y.tensor, ACL_FLOAT, z.tensor);
  EXPECT_EQ(values(z), (Floats{7, 7, 8, 8, 9, 9}));
}

TEST_F(StandInOperatorTest, IndexSelectTakesRowsAndReportsThoseThatAreNotThere) {
  const Array& table = array({3, 2}, ACL_BF16, {1, 2, 3, 4, 5, 6});
  const Array& index = array({2}, ACL_INT64, {2, 0});
  const Array& y = fresh({2, 2}, ACL_BF16);
  run(aclnnIndexSelect, aclnnIndexSelectGetWorkspaceSize, table.tensor, int64_t{0}, index.tensor,
      y.tensor);
  EXPECT_EQ(values(y), (Floats{5, 6, 1, 2}));
  const Array& far = array({2}, ACL_INT64, {3, 0});
  run(aclnnIndexSelect, aclnnIndexSelectGetWorkspaceSize, table.tensor, int64_t{0}, far.tensor,
      y.tensor);
  EXPECT_EQ(take_report(), "aclnnIndexSelect: index 3 of 3\n");
}

TEST_F(StandInOperatorTest, NearestExactTakesTheMiddle) {
  const Array& x = array({1, 1, 2, 2}, ACL_FLOAT, {1, 2, 3, 4}, ACL_FORMAT_NCHW);
  const Array& y = fresh({1, 1, 4, 3}, ACL_FLOAT, ACL_FORMAT_NCHW);
  run(aclnnUpsampleNearestExact2d, aclnnUpsampleNearestExact2dGetWorkspaceSize, x.tensor,
      integers({4, 3}), 2.0, 1.5, y.tensor);
  EXPECT_EQ(values(y), (Floats{1, 2, 2, 1, 2, 2, 3, 4, 4, 3, 4, 4}));
}

TEST_F(StandInOperatorTest, LayerNormIsModulatedAsTwoDocumentsSay) {
  const int64_t rows = 3;
  const int64_t dim = 8;
  const Floats x = pattern(2 * rows * dim);
  const Floats scale = pattern(2 * dim, 11);
  const Floats shift = pattern(2 * dim, 3);
  const Array& in = array({2, rows, dim}, ACL_FLOAT, x);
  const Array& a = array({2, dim}, ACL_FLOAT, scale);
  const Array& b = array({2, 1, dim}, ACL_FLOAT, shift);
  const Array& y = fresh({2, rows, dim}, ACL_FLOAT);
  run(aclnnAdaLayerNormV2, aclnnAdaLayerNormV2GetWorkspaceSize, in.tensor, a.tensor, b.tensor,
      nullptr, nullptr, 1e-6, y.tensor, nullptr, nullptr);
  const Array& plain = fresh({2, rows, dim}, ACL_FLOAT);
  const Array& weight = array({dim}, ACL_FLOAT, Floats(dim, 2));
  const Array& bias = array({dim}, ACL_FLOAT, Floats(dim, 1));
  run(aclnnLayerNorm, aclnnLayerNormGetWorkspaceSize, in.tensor, integers({dim}), weight.tensor,
      bias.tensor, 1e-6, plain.tensor, nullptr, nullptr);
  for (int64_t row = 0; row < 2 * rows; ++row) {
    const float* from = x.data() + row * dim;
    double mean = 0;
    double square = 0;
    for (int64_t i = 0; i < dim; ++i) mean += from[i] / static_cast<double>(dim);
    for (int64_t i = 0; i < dim; ++i) square += (from[i] - mean) * (from[i] - mean);
    const double rstd = 1 / std::sqrt(square / static_cast<double>(dim) + 1e-6);
    for (int64_t i = 0; i < dim; ++i) {
      const auto at = static_cast<size_t>(row * dim + i);
      const auto vector = static_cast<size_t>(row / rows * dim + i);
      const double normed = (from[i] - mean) * rstd;
      EXPECT_NEAR(values(y)[at], normed * (1 + scale[vector]) + shift[vector], 1e-6);
      EXPECT_NEAR(values(plain)[at], 2 * normed + 1, 1e-6);
    }
  }
}

TEST_F(StandInOperatorTest, RmsNormGivesItsFactorsToo) {
  const Array& x = array({2, 2}, ACL_BF16, {3, 4, 0, 2});
  const Array& gamma = array({2}, ACL_FLOAT, {1, 10});
  const Array& y = fresh({2, 2}, ACL_BF16);
  const Array& rstd = fresh({2, 1}, ACL_FLOAT);
  run(aclnnRmsNorm, aclnnRmsNormGetWorkspaceSize, x.tensor, gamma.tensor, 0.0, y.tensor,
      rstd.tensor);
  const double factor = 1 / std::sqrt(12.5);
  EXPECT_EQ(values(y)[0], bf16(3 * factor));
  EXPECT_EQ(values(y)[1], bf16(40 * factor));
  EXPECT_EQ(values(y)[3], bf16(20 / std::sqrt(2.0)));
  EXPECT_EQ(values(rstd)[0], static_cast<float>(factor));
}

TEST_F(StandInOperatorTest, RotaryEmbeddingTurnsPairsInModeOneAndHalvesInModeZero) {
  const Array& x = array({1, 1, 2, 4}, ACL_FLOAT, {1, 2, 3, 4, 5, 6, 7, 8});
  const Array& cos = array({1, 1, 1, 4}, ACL_FLOAT, {0, 0, 2, 2});
  const Array& sin = array({1, 1, 1, 4}, ACL_FLOAT, {1, 1, 10, 10});
  const Array& y = fresh({1, 1, 2, 4}, ACL_FLOAT);
  run(aclnnRotaryPositionEmbedding, aclnnRotaryPositionEmbeddingGetWorkspaceSize, x.tensor,
      cos.tensor, sin.tensor, int64_t{1}, y.tensor);
  EXPECT_EQ(values(y), (Floats{-2, 1, 6 - 40, 8 + 30, -6, 5, 14 - 80, 16 + 70}));
  run(aclnnRotaryPositionEmbedding, aclnnRotaryPositionEmbeddingGetWorkspaceSize, x.tensor,
      cos.tensor, sin.tensor, int64_t{0}, y.tensor);
  EXPECT_EQ(values(y), (Floats{-3, -4, 6 + 10, 8 + 20, -7, -8, 14 + 50, 16 + 60}));
}

TEST_F(StandInOperatorTest, SoftmaxGoesAlongItsAxis) {
  const Array& x = array({2, 3}, ACL_FLOAT, {0, 1, 2, 0, 1, 1000});
  const Array& y = fresh({2, 3}, ACL_FLOAT);
  run(aclnnSoftmax, aclnnSoftmaxGetWorkspaceSize, x.tensor, int64_t{-1}, y.tensor);
  EXPECT_FLOAT_EQ(values(y)[2], 0.66524096f);
  EXPECT_EQ(values(y)[5], 1.0f);
  run(aclnnSoftmax, aclnnSoftmaxGetWorkspaceSize, x.tensor, int64_t{0}, y.tensor);
  EXPECT_EQ(values(y)[0], 0.5f);
  EXPECT_EQ(values(y)[5], 1.0f);
}

TEST_F(StandInOperatorTest, ProductsOfMatricesTransposedAndInBatches) {
  const Array& a = array({2, 2, 3}, ACL_BF16, {1, 2, 3, 4, 5, 6, 1, 0, 0, 0, 1, 0});
  const Array& w = array({2, 3}, ACL_BF16, {1, 0, 1, 0, 2, 0});
  const Array& y = fresh({2, 2, 2}, ACL_BF16);
  run(aclnnMatmul, aclnnMatmulGetWorkspaceSize, a.tensor, view(w, {3, 2}, {1, 3}), y.tensor,
      int8_t{0});
  EXPECT_EQ(values(y), (Floats{4, 4, 10, 10, 1, 0, 0, 2}));
  const Array& one = fresh({2, 2}, ACL_BF16);
  run(aclnnMm, aclnnMmGetWorkspaceSize, view(a, {2, 3}, {3, 1}), view(w, {3, 2}, {1, 3}),
      one.tensor, int8_t{0});
  EXPECT_EQ(values(one), (Floats{4, 4, 10, 10}));
}

// Codes and scales of torchao for 292 blocks in both types and both rules.
TEST_F(StandInOperatorTest, TheQuantizerHasTheBitsOfTorchao) {
  const GoldenFile golden("formats/blocks_torchao.safetensors");
  for (const std::string type : {"bf16", "fp32"}) {
    const Floats input = golden.f32(type + ".input");
    const auto blocks = static_cast<int64_t>(input.size()) / 32;
    const Array& x = array({blocks, 32}, type == "bf16" ? ACL_BF16 : ACL_FLOAT, input);
    const Array& codes = fresh({blocks, 32}, ACL_FLOAT8_E4M3FN);
    const Array& scales = fresh({blocks, 1, 2}, ACL_FLOAT8_E8M0);
    for (const int64_t rule : {0, 1}) {
      run(aclnnDynamicMxQuant, aclnnDynamicMxQuantGetWorkspaceSize, x.tensor, int64_t{-1}, nullptr,
          int64_t{36}, int64_t{32}, rule, codes.tensor, scales.tensor);
      const std::string name = type + ".e4m3." + (rule == 0 ? "floor" : "rceil");
      const Bytes expected_scales = golden.u8(name + ".scale");
      const Bytes expected_codes = golden.u8(name + ".codes");
      const Bytes got_scales = bytes(scales);
      const Bytes got_codes = bytes(codes);
      int64_t different = 0;
      for (size_t block = 0; block < expected_scales.size(); ++block) {
        const auto first = static_cast<ptrdiff_t>(32 * block);
        const bool same_codes =
            std::equal(got_codes.begin() + first, got_codes.begin() + first + 32,
                       expected_codes.begin() + first);
        // Where the byte is 0, torchao's rules divide by other numbers than the definition.
        const bool same = got_scales[2 * block] == expected_scales[block] &&
                          (same_codes || expected_scales[block] == 0);
        different += same ? 0 : 1;
        EXPECT_EQ(got_scales[2 * block + 1], 0);
      }
      // One block of fp32 has a maximum that is 448·2^n and the last bit: torchao loses that bit
      // when it divides by 448.
      EXPECT_EQ(different, name == "fp32.e4m3.rceil" ? 1 : 0) << name;
    }
  }
}

// Along tokens, as V of the MXFP8 attention is: the scales of two rows of blocks side by side.
TEST_F(StandInOperatorTest, TheQuantizerInterleavesScalesAlongAnotherAxis) {
  Floats x(96 * 2);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::ldexp(1.0f, static_cast<int>(i / 64 + i % 2));
  const Array& in = array({96, 2}, ACL_FLOAT, x);
  const Array& codes = fresh({96, 2}, ACL_FLOAT8_E4M3FN);
  const Array& scales = fresh({2, 2, 2}, ACL_FLOAT8_E8M0);
  run(aclnnDynamicMxQuant, aclnnDynamicMxQuantGetWorkspaceSize, in.tensor, int64_t{0}, nullptr,
      int64_t{36}, int64_t{32}, int64_t{0}, codes.tensor, scales.tensor);
  // floor(log2 max) - 8 + 127
  EXPECT_EQ(bytes(scales), (Bytes{119, 120, 120, 121, 121, 0, 122, 0}));
}

TEST_F(StandInOperatorTest, TheMxProductIsThatOfTorchao) {
  for (const std::string name : {"mxfp8_m7_k160_n17", "mxfp8_m45_k128_n127"}) {
    const GoldenFile golden("linear/" + name + ".safetensors");
    const int64_t m = golden.shape("x")[0];
    const int64_t k = golden.shape("x")[1];
    const int64_t n = golden.shape("w")[0];
    const int64_t pairs = (k + 63) / 64;
    const auto padded = [&](const Bytes& scales) {  // an odd number of blocks ends with one more
      Bytes out;
      for (size_t i = 0; i < scales.size(); ++i) {
        out.push_back(scales[i]);
        const bool row_ends = (static_cast<int64_t>(i) + 1) % (k / 32) == 0;
        if (row_ends && k / 32 % 2 == 1) out.push_back(0xee);
      }
      return out;
    };
    const Array& x = raw({m, k}, ACL_FLOAT8_E4M3FN, golden.u8("x.codes"));
    const Array& w = raw({n, k}, ACL_FLOAT8_E4M3FN, golden.u8("w.codes"));
    const Array& x_scale = raw({m, pairs, 2}, ACL_FLOAT8_E8M0, padded(golden.u8("x.scale")));
    const Array& w_scale = raw({n, pairs, 2}, ACL_FLOAT8_E8M0, padded(golden.u8("w.scale")));
    const Array& bias = array({n}, ACL_FLOAT, golden.f32("bias"));
    const Array& y = fresh({m, n}, ACL_FLOAT);
    run(aclnnQuantMatmulV5, aclnnQuantMatmulV5GetWorkspaceSize, x.tensor, w.tensor, x_scale.tensor,
        w_scale.tensor, nullptr, nullptr, nullptr, nullptr, bias.tensor, false, true,
        int64_t{4295032864}, y.tensor);
    const std::vector<double> expected = golden.f64("y");
    const std::vector<double> sums = golden.f64("y.abs_sum");
    const Floats got = values(y);
    for (size_t i = 0; i < got.size(); ++i) {
      // Two roundings to fp32, of the sum and of the sum with the bias: half an ulp each.
      EXPECT_NEAR(got[i], expected[i], sums[i] * 0x1p-23) << name << ", " << i;
    }
  }
}

}  // namespace
}  // namespace mxvideo::test
