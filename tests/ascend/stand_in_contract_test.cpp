// What the operators of the stand-in refuse, and with which status: faults that a backend could
// have, one at a time in a call that is right otherwise.
#include <functional>

#include "ascend/stand_in_fixture.h"

namespace mxvideo::test {
namespace {

constexpr int64_t kGroup = 4295032864;

class StandInContractTest : public StandInTest {
 protected:
  // The message that came with the last refusal holds `text`.
  bool said(const std::string& text) const { return message_.find(text) != std::string::npos; }
};

// Arguments of aclnnQuantMatmulV5 for x1 [3, 128] and x2 [5, 128].
struct MxProduct {
  aclTensor* x1;
  aclTensor* x2;
  aclTensor* x1_scale;
  aclTensor* x2_scale;
  aclTensor* bias;
  aclTensor* out;
  bool transpose_x2 = true;
  int64_t group = kGroup;
};

class MxProductTest : public StandInContractTest {
 protected:
  void SetUp() override {
    StandInContractTest::SetUp();
    right_ = {.x1 = fresh({3, 128}, ACL_FLOAT8_E4M3FN).tensor,
              .x2 = fresh({5, 128}, ACL_FLOAT8_E4M3FN).tensor,
              .x1_scale = fresh({3, 2, 2}, ACL_FLOAT8_E8M0).tensor,
              .x2_scale = fresh({5, 2, 2}, ACL_FLOAT8_E8M0).tensor,
              .bias = fresh({5}, ACL_FLOAT).tensor,
              .out = fresh({3, 5}, ACL_BF16).tensor};
  }
  int status(const MxProduct& p) {
    return refusal(aclnnQuantMatmulV5GetWorkspaceSize, p.x1, p.x2, p.x1_scale, p.x2_scale, nullptr,
                   nullptr, nullptr, nullptr, p.bias, false, p.transpose_x2, p.group, p.out);
  }
  // The status of the right call but for what `change` does.
  int with(const std::function<void(MxProduct&)>& change) {
    MxProduct product = right_;
    change(product);
    return status(product);
  }
  MxProduct right_{};
};

TEST_F(MxProductTest, TheRightCallIsTaken) { EXPECT_EQ(status(right_), 0) << message_; }

TEST_F(MxProductTest, AScaleOfTheWrongShapeIsRefused) {
  const Array& half = fresh({5, 2}, ACL_FLOAT8_E8M0);
  EXPECT_EQ(with([&](MxProduct& p) { p.x2_scale = half.tensor; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("x2Scale is [5, 2], expected [5, 2, 2]")) << message_;
  const Array& rows = fresh({4, 2, 2}, ACL_FLOAT8_E8M0);
  EXPECT_EQ(with([&](MxProduct& p) { p.x1_scale = rows.tensor; }), ACLNN_ERR_PARAM_INVALID);
}

TEST_F(MxProductTest, AScaleThatIsNotTransposedWithItsMatrixIsRefused) {
  const Array& scale = fresh({2, 5, 2}, ACL_FLOAT8_E8M0);
  EXPECT_EQ(with([&](MxProduct& p) { p.x2_scale = scale.tensor; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("x2Scale is [2, 5, 2], expected [5, 2, 2]")) << message_;
  const Array& matrix = fresh({128, 5}, ACL_FLOAT8_E4M3FN);
  const auto untransposed = [&](MxProduct& p) {
    p.x2 = matrix.tensor;
    p.transpose_x2 = false;
  };
  EXPECT_EQ(with(untransposed), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("x2Scale is [5, 2, 2], expected [2, 5, 2]")) << message_;
  EXPECT_EQ(with([&](MxProduct& p) {
              untransposed(p);
              p.x2_scale = scale.tensor;
            }),
            0)
      << message_;
}

TEST_F(MxProductTest, AWrongGroupSizeIsRefused) {
  EXPECT_EQ(with([](MxProduct& p) { p.group = 32; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("groupSize is 32, expected 4295032864")) << message_;
  EXPECT_EQ(with([](MxProduct& p) { p.group = (int64_t{1} << 32) | (1 << 16) | 16; }),
            ACLNN_ERR_PARAM_INVALID);
}

TEST_F(MxProductTest, TypesAreAsDocumented) {
  const Array& scale = fresh({5, 2, 2}, ACL_FLOAT);
  EXPECT_EQ(with([&](MxProduct& p) { p.x2_scale = scale.tensor; }), ACLNN_ERR_PARAM_INVALID);
  const Array& bias = fresh({5}, ACL_BF16);
  EXPECT_EQ(with([&](MxProduct& p) { p.bias = bias.tensor; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("bias is BFLOAT16, expected FLOAT")) << message_;
  const Array& x = fresh({3, 128}, ACL_FLOAT16);
  EXPECT_EQ(with([&](MxProduct& p) { p.x1 = x.tensor; }), ACLNN_ERR_PARAM_INVALID);
}

TEST_F(MxProductTest, WhatMustBeGivenIsMissed) {
  EXPECT_EQ(with([](MxProduct& p) { p.x2 = nullptr; }), ACLNN_ERR_PARAM_NULLPTR);
  EXPECT_TRUE(said("x2 is null")) << message_;
  EXPECT_EQ(with([](MxProduct& p) { p.out = nullptr; }), ACLNN_ERR_PARAM_NULLPTR);
  EXPECT_EQ(with([](MxProduct& p) { p.bias = nullptr; }), 0);
}

TEST_F(MxProductTest, StridesAreThoseOfAMatrixOrItsTranspose) {
  const Array& wide = fresh({3, 256}, ACL_FLOAT8_E4M3FN);
  aclTensor* half = view(wide, {3, 128}, {256, 1});
  EXPECT_EQ(with([&](MxProduct& p) { p.x1 = half; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("x1 is contiguous neither")) << message_;
}

TEST_F(MxProductTest, ADestroyedHandleIsCaught) {
  const int64_t dims[] = {3, 5};
  aclTensor* gone = aclCreateTensor(dims, 2, ACL_BF16, nullptr, 0, ACL_FORMAT_ND, dims, 2, nullptr);
  ASSERT_EQ(aclDestroyTensor(gone), 0);
  EXPECT_EQ(with([&](MxProduct& p) { p.out = gone; }), ACLNN_ERR_INNER_NULLPTR);
  EXPECT_NE(take_report().find("out is no handle, or was destroyed before"), std::string::npos);
}

struct Quantizer {
  aclTensor* x;
  aclTensor* y;
  aclTensor* scale;
  int64_t axis = -1, type = 36, block = 32, algorithm = 1;
  const char* round = "rint";
};

class QuantizerTest : public StandInContractTest {
 protected:
  int status(const Quantizer& q) {
    return refusal(aclnnDynamicMxQuantGetWorkspaceSize, q.x, q.axis, const_cast<char*>(q.round),
                   q.type, q.block, q.algorithm, q.y, q.scale);
  }
};

TEST_F(QuantizerTest, RefusesWhatItsDocumentDoesNotHave) {
  const Quantizer right{.x = fresh({3, 96}, ACL_BF16).tensor,
                        .y = fresh({3, 96}, ACL_FLOAT8_E4M3FN).tensor,
                        .scale = fresh({3, 2, 2}, ACL_FLOAT8_E8M0).tensor};
  EXPECT_EQ(status(right), 0) << message_;
  const auto with = [&](const std::function<void(Quantizer&)>& change) {
    Quantizer q = right;
    change(q);
    return status(q);
  };
  // An odd number of blocks is padded to an even one.
  const Array& odd = fresh({3, 3}, ACL_FLOAT8_E8M0);
  EXPECT_EQ(with([&](Quantizer& q) { q.scale = odd.tensor; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("mxscale is [3, 3], expected [3, 2, 2]")) << message_;
  EXPECT_EQ(with([](Quantizer& q) { q.block = 16; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(with([](Quantizer& q) { q.algorithm = 2; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(with([](Quantizer& q) { q.axis = 2; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(with([](Quantizer& q) { q.round = "floor"; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(with([](Quantizer& q) { q.round = nullptr; }), 0);
  EXPECT_EQ(with([](Quantizer& q) { q.type = 35; }), ACLNN_ERR_PARAM_INVALID);
  const Array& integers = fresh({3, 96}, ACL_INT32);
  EXPECT_EQ(with([&](Quantizer& q) { q.x = integers.tensor; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(with([](Quantizer& q) { q.y = nullptr; }), ACLNN_ERR_PARAM_NULLPTR);
}

TEST_F(QuantizerTest, NeedsThirtyTwoElementsOfFloat) {
  const Quantizer q{.x = fresh({3, 16}, ACL_FLOAT).tensor,
                    .y = fresh({3, 16}, ACL_FLOAT8_E4M3FN).tensor,
                    .scale = fresh({3, 1, 2}, ACL_FLOAT8_E8M0).tensor};
  EXPECT_EQ(status(q), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("FLOAT needs at least 32 elements")) << message_;
}

TEST_F(QuantizerTest, IsOnAtlasA5Only) {
  const Quantizer q{.x = fresh({3, 32}, ACL_BF16).tensor,
                    .y = fresh({3, 32}, ACL_FLOAT8_E4M3FN).tensor,
                    .scale = fresh({3, 1, 2}, ACL_FLOAT8_E8M0).tensor};
  standin_set_soc("Ascend910B3");
  EXPECT_EQ(status(q), ACLNN_ERR_RUNTIME_ERROR);
  EXPECT_TRUE(said("aclnnDynamicMxQuant is not supported on Ascend910B3")) << message_;
  EXPECT_STREQ(aclrtGetSocName(), "Ascend910B3");
}

TEST_F(StandInContractTest, NormsWantTheirTypesAndShapes) {
  const Array& x = fresh({2, 3, 8}, ACL_FLOAT);
  const Array& y = fresh({2, 3, 8}, ACL_FLOAT);
  const Array& narrow = fresh({2, 3, 8}, ACL_BF16);
  const Array& scale = fresh({2, 8}, ACL_FLOAT);
  const Array& per_token = fresh({2, 3, 8}, ACL_FLOAT);
  const auto ada = [&](const Array& shift, const Array& out) {
    return refusal(aclnnAdaLayerNormV2GetWorkspaceSize, x.tensor, scale.tensor, shift.tensor,
                   nullptr, nullptr, 1e-6, out.tensor, nullptr, nullptr);
  };
  EXPECT_EQ(ada(scale, y), 0) << message_;
  EXPECT_EQ(ada(scale, narrow), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(ada(per_token, y), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("shift is [2, 3, 8], expected [2, 8] or [2, 1, 8]")) << message_;

  const Array& half_gamma = fresh({8}, ACL_FLOAT16);
  const Array& gamma = fresh({8}, ACL_BF16);
  const Array& rstd = fresh({2, 3, 1}, ACL_FLOAT);
  const Array& flat = fresh({2, 3}, ACL_FLOAT);
  const auto rms = [&](const Array& weight, aclTensor* factors) {
    return refusal(aclnnRmsNormGetWorkspaceSize, narrow.tensor, weight.tensor, 1e-6, narrow.tensor,
                   factors);
  };
  EXPECT_EQ(rms(gamma, rstd.tensor), 0) << message_;
  EXPECT_EQ(rms(half_gamma, rstd.tensor), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("gamma is FLOAT16, expected BFLOAT16, FLOAT")) << message_;
  EXPECT_EQ(rms(gamma, flat.tensor), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(rms(gamma, nullptr), ACLNN_ERR_PARAM_NULLPTR);

  const Array& weight = fresh({8}, ACL_FLOAT);
  const auto layer = [&](aclTensor* bias, const Dims& normed) {
    return refusal(aclnnLayerNormGetWorkspaceSize, narrow.tensor, integers(normed), weight.tensor,
                   bias, 1e-6, narrow.tensor, nullptr, nullptr);
  };
  EXPECT_EQ(layer(weight.tensor, {8}), 0) << message_;
  EXPECT_EQ(layer(nullptr, {8}), ACLNN_ERR_PARAM_INVALID);  // alone: of x's type
  EXPECT_EQ(layer(weight.tensor, {3}), ACLNN_ERR_PARAM_INVALID);
}

TEST_F(StandInContractTest, ElementwiseOperatorsWantShapesThatFit) {
  const Array& x = fresh({2, 3}, ACL_BF16);
  const Array& column = fresh({2}, ACL_BF16);
  const Array& out = fresh({2, 3}, ACL_BF16);
  const Array& wrong = fresh({3, 2}, ACL_BF16);
  EXPECT_EQ(refusal(aclnnMulGetWorkspaceSize, x.tensor, column.tensor, out.tensor),
            ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("[2, 3] and [2] do not broadcast")) << message_;
  EXPECT_EQ(refusal(aclnnMulGetWorkspaceSize, x.tensor, x.tensor, wrong.tensor),
            ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(refusal(aclnnAddGetWorkspaceSize, x.tensor, x.tensor, nullptr, out.tensor),
            ACLNN_ERR_PARAM_NULLPTR);
  EXPECT_EQ(refusal(aclnnGeluV2GetWorkspaceSize, x.tensor, int64_t{2}, out.tensor),
            ACLNN_ERR_PARAM_INVALID);
  const Array& half = fresh({2, 3}, ACL_FLOAT16);
  EXPECT_EQ(refusal(aclnnSiluGetWorkspaceSize, x.tensor, half.tensor), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("out is FLOAT16, expected BFLOAT16")) << message_;
  EXPECT_EQ(refusal(aclnnCastGetWorkspaceSize, x.tensor, ACL_FLOAT, half.tensor),
            ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(refusal(aclnnInplaceCopyGetWorkspaceSize, wrong.tensor, x.tensor),
            ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(aclnnSiluGetWorkspaceSize(x.tensor, out.tensor, nullptr, nullptr),
            ACLNN_ERR_PARAM_NULLPTR);
}

TEST_F(StandInContractTest, RotaryEmbeddingWantsTablesThatBroadcast) {
  const Array& x = fresh({1, 6, 2, 8}, ACL_BF16);
  const Array& out = fresh({1, 6, 2, 8}, ACL_BF16);
  const auto rope = [&](const Dims& table, aclDataType type, int64_t mode) {
    const Array& cos = fresh(table, type);
    return refusal(aclnnRotaryPositionEmbeddingGetWorkspaceSize, x.tensor, cos.tensor, cos.tensor,
                   mode, out.tensor);
  };
  EXPECT_EQ(rope({1, 6, 1, 8}, ACL_BF16, 1), 0) << message_;
  EXPECT_EQ(rope({1, 6, 1, 4}, ACL_BF16, 1), ACLNN_ERR_PARAM_INVALID);  // each angle twice
  EXPECT_EQ(rope({1, 5, 1, 8}, ACL_BF16, 1), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(rope({1, 6, 1, 8}, ACL_FLOAT, 1), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(rope({1, 6, 1, 8}, ACL_BF16, 4), ACLNN_ERR_PARAM_INVALID);
}

TEST_F(StandInContractTest, DenseProductsWantOneTypeAndTheInnerSize) {
  const Array& a = fresh({2, 3}, ACL_BF16);
  const Array& b = fresh({3, 4}, ACL_BF16);
  const Array& half = fresh({3, 4}, ACL_FLOAT16);
  const Array& out = fresh({2, 4}, ACL_BF16);
  const auto product = [&](const Array& right, const Array& result, int8_t type) {
    return refusal(aclnnMatmulGetWorkspaceSize, a.tensor, right.tensor, result.tensor, type);
  };
  EXPECT_EQ(product(b, out, 0), 0) << message_;
  EXPECT_EQ(product(half, out, 0), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("mat2 is FLOAT16, expected BFLOAT16")) << message_;
  EXPECT_EQ(product(b, out, 2), ACLNN_ERR_PARAM_INVALID);  // to FLOAT16: not with BFLOAT16
  EXPECT_EQ(product(a, out, 0), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(product(b, b, 0), ACLNN_ERR_PARAM_INVALID);
}

struct Attention {
  const Array* q;
  const Array* k;
  const Array* v;
  const Array* out;
  const char* layout = "BSND";
  int64_t heads = 2, mode = 0, next = 2147483647;
};

class AttentionContractTest : public StandInContractTest {
 protected:
  int status(const Attention& a) {
    const auto list = [](const Array& of) {
      aclTensor* tensor = aclCreateTensor(of.dims.data(), of.dims.size(), of.dtype, nullptr, 0,
                                          of.format, of.dims.data(), of.dims.size(), of.data);
      return aclCreateTensorList(&tensor, 1);
    };
    aclTensorList* keys = list(*a.k);
    aclTensorList* values_list = list(*a.v);
    const std::nullptr_t none = nullptr;
    const int64_t zero = 0;
    const int status =
        refusal(aclnnFusedInferAttentionScoreV5GetWorkspaceSize, a.q->tensor, keys, values_list,
                none, none, none, none, none, none, none, none, none, none, none, none, none, none,
                none, none, none, none, none, none, none, none, none, none, none, none, none, none,
                a.heads, 0.125, int64_t{2147483647}, a.next, const_cast<char*>(a.layout), a.heads,
                zero, int64_t{1}, zero, zero, false, a.mode, zero, zero, zero, a.out->tensor, none);
    EXPECT_EQ(aclDestroyTensorList(keys), 0);
    EXPECT_EQ(aclDestroyTensorList(values_list), 0);
    return status;
  }
};

TEST_F(AttentionContractTest, PlainAttentionIsAsDocumented) {
  const Array& q = fresh({1, 5, 2, 16}, ACL_BF16);
  const Array& k = fresh({1, 9, 2, 16}, ACL_BF16);
  const Attention right{&q, &k, &k, &q};
  EXPECT_EQ(status(right), 0) << message_;
  const auto with = [&](const std::function<void(Attention&)>& change) {
    Attention a = right;
    change(a);
    return status(a);
  };
  EXPECT_EQ(with([](Attention& a) { a.heads = 4; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("numHeads is 4 and query is [1, 5, 2, 16]")) << message_;
  EXPECT_EQ(with([](Attention& a) { a.layout = "TND"; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(with([](Attention& a) { a.mode = 6; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(with([](Attention& a) { a.next = 0; }), ACLNN_ERR_PARAM_INVALID);
  const Array& half = fresh({1, 9, 2, 16}, ACL_FLOAT16);
  EXPECT_EQ(with([&](Attention& a) { a.v = &half; }), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("value is FLOAT16, expected BFLOAT16")) << message_;
  const Array& codes = fresh({5, 2, 64}, ACL_FLOAT8_E4M3FN);
  EXPECT_EQ(with([&](Attention& a) { a.q = &codes; }), ACLNN_ERR_PARAM_NULLPTR);
  EXPECT_TRUE(said("MXFP8 needs quantScale1")) << message_;
  const Array& large = fresh({1, 5, 1, 1024}, ACL_BF16);
  EXPECT_EQ(with([&](Attention& a) { a = {&large, &large, &large, &large, "BSND", 1}; }),
            ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("the head dimension is 1024, expected at most 512")) << message_;
}

TEST_F(StandInContractTest, ConvolutionIsAsDocumented) {
  const Array& x = fresh({1, 2, 3, 4, 4}, ACL_BF16, ACL_FORMAT_NCDHW);
  const Array& w = fresh({3, 2, 3, 3, 3}, ACL_BF16, ACL_FORMAT_NCDHW);
  const Array& y = fresh({1, 3, 1, 4, 4}, ACL_BF16, ACL_FORMAT_NCDHW);
  const Array& plain = fresh({1, 3, 1, 4, 4}, ACL_BF16, ACL_FORMAT_ND);
  const Array& bias = fresh({3}, ACL_FLOAT16);
  struct Change {
    aclTensor* bias = nullptr;
    aclTensor* y = nullptr;
    Dims stride = {1, 1, 1};
    Dims padding = {0, 1, 1};
    int8_t cube_math_type = 0;
    bool output_padding = true;
  };
  const auto status = [&](const Change& c) {
    return refusal(aclnnConvolutionGetWorkspaceSize, x.tensor, w.tensor, c.bias, integers(c.stride),
                   integers(c.padding), integers({1, 1, 1}), false,
                   c.output_padding ? integers({0, 0, 0}) : nullptr, int64_t{1},
                   c.y == nullptr ? y.tensor : c.y, c.cube_math_type);
  };
  EXPECT_EQ(status({}), 0) << message_;
  EXPECT_EQ(status({.bias = bias.tensor}), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("bias is FLOAT16, expected BFLOAT16")) << message_;
  EXPECT_EQ(status({.y = plain.tensor}), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(status({.stride = {1, 1}}), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(status({.stride = {1, 64, 1}}), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(status({.padding = {1, 1, 1}}), ACLNN_ERR_PARAM_INVALID);
  EXPECT_TRUE(said("output is [1, 3, 1, 4, 4], expected [1, 3, 3, 4, 4]")) << message_;
  EXPECT_EQ(status({.padding = {0, 0, 1, 1, 1, 1}}), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(status({.cube_math_type = 2}), ACLNN_ERR_PARAM_INVALID);
  EXPECT_EQ(status({.output_padding = false}), ACLNN_ERR_PARAM_NULLPTR);
}

}  // namespace
}  // namespace mxvideo::test
