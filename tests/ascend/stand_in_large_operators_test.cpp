// The large operators of the stand-in, attention and convolution, against loops written down here.
#include <algorithm>
#include <cmath>

#include "ascend/stand_in_fixture.h"

namespace mxvideo::test {
namespace {

class StandInLargeOperatorTest : public StandInTest {
 protected:
  aclTensorList* list(const Array& of) {
    aclTensor* tensor = aclCreateTensor(of.dims.data(), of.dims.size(), of.dtype, nullptr, 0,
                                        of.format, of.dims.data(), of.dims.size(), of.data);
    return aclCreateTensorList(&tensor, 1);
  }
};

struct Heads {
  int64_t q_length, kv_length, heads, dim;
  double scale;
};

// softmax(scale·q·kᵀ)·v of [length, heads, dim], in double.
std::vector<double> attend(const Heads& h, const Floats& q, const Floats& k, const Floats& v) {
  std::vector<double> out(q.size());
  for (int64_t head = 0; head < h.heads; ++head) {
    for (int64_t i = 0; i < h.q_length; ++i) {
      std::vector<double> weights;
      double sum = 0;
      for (int64_t j = 0; j < h.kv_length; ++j) {
        double score = 0;
        for (int64_t d = 0; d < h.dim; ++d) {
          score += static_cast<double>(q[static_cast<size_t>((i * h.heads + head) * h.dim + d)]) *
                   k[static_cast<size_t>((j * h.heads + head) * h.dim + d)];
        }
        weights.push_back(std::exp(h.scale * score));
        sum += weights.back();
      }
      for (int64_t d = 0; d < h.dim; ++d) {
        double value = 0;
        for (int64_t j = 0; j < h.kv_length; ++j) {
          value += weights[static_cast<size_t>(j)] *
                   v[static_cast<size_t>((j * h.heads + head) * h.dim + d)];
        }
        out[static_cast<size_t>((i * h.heads + head) * h.dim + d)] = value / sum;
      }
    }
  }
  return out;
}

TEST_F(StandInLargeOperatorTest, AttentionIsRoundedOnceToBf16) {
  const Heads h{5, 9, 2, 16, 0.25};
  const Floats q = pattern(h.q_length * h.heads * h.dim);
  const Floats k = pattern(h.kv_length * h.heads * h.dim, 11);
  const Floats v = pattern(h.kv_length * h.heads * h.dim, 3);
  const Array& query = array({1, h.q_length, h.heads, h.dim}, ACL_BF16, q);
  const Array& key = array({1, h.kv_length, h.heads, h.dim}, ACL_BF16, k);
  const Array& value = array({1, h.kv_length, h.heads, h.dim}, ACL_BF16, v);
  const Array& out = fresh(query.dims, ACL_BF16);
  aclTensorList* keys = list(key);
  aclTensorList* values_list = list(value);
  char layout[] = "BSND";
  const std::nullptr_t none = nullptr;
  const int64_t zero = 0;
  const int64_t all = 2147483647;
  run(aclnnFusedInferAttentionScoreV5, aclnnFusedInferAttentionScoreV5GetWorkspaceSize,
      query.tensor, keys, values_list, none, none, none, none, none, none, none, none, none, none,
      none, none, none, none, none, none, none, none, none, none, none, none, none, none, none,
      none, none, none, h.heads, h.scale, all, all, layout, h.heads, zero, int64_t{1}, zero, zero,
      false, zero, zero, zero, zero, out.tensor, none);
  const std::vector<double> expected = attend(h, q, k, v);
  const Floats got = values(out);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], bf16(expected[i])) << i;
  EXPECT_EQ(aclDestroyTensorList(keys), 0);
  EXPECT_EQ(aclDestroyTensorList(values_list), 0);
}

// Codes of 1, 2, 4 …: with scales of 1 everything but P is exact, and P is off by 2^-4 at most.
TEST_F(StandInLargeOperatorTest, MxAttentionDecodesItsScalesAndRoundsPToE4m3) {
  const Heads h{100, 64, 2, 64, 0.125};
  const auto codes = [](int64_t count, int step) {
    Bytes out;
    for (int64_t i = 0; i < count; ++i) {
      out.push_back(static_cast<uint8_t>(0x28 + i * step % 11));  // 0.25 … about 0.6
    }
    return out;
  };
  const Bytes q = codes(h.q_length * h.heads * h.dim, 7);
  const Bytes k = codes(h.kv_length * h.heads * h.dim, 5);
  const Bytes v = codes(h.kv_length * h.heads * h.dim, 3);
  const auto decode = [](const Bytes& from) {
    Floats out;
    for (const uint8_t code : from) {
      out.push_back(std::ldexp(1.0f + static_cast<float>(code & 7) / 8, (code >> 3) - 7));
    }
    return out;
  };
  const Array& query = raw({h.q_length, h.heads, h.dim}, ACL_FLOAT8_E4M3FN, q);
  const Array& key = raw({h.kv_length, h.heads, h.dim}, ACL_FLOAT8_E4M3FN, k);
  const Array& value = raw({h.kv_length, h.heads, h.dim}, ACL_FLOAT8_E4M3FN, v);
  const Array& q_scale = raw({h.q_length, h.heads, 1, 2}, ACL_FLOAT8_E8M0, Bytes(200 * 2, 127));
  const Array& k_scale = raw({h.kv_length, h.heads, 1, 2}, ACL_FLOAT8_E8M0, Bytes(128 * 2, 127));
  Bytes along(static_cast<size_t>(h.heads * h.dim * 2), 127);
  for (size_t i = 1; i < along.size(); i += 2) along[i] = 128;  // tokens 32 to 63: twice
  const Array& v_scale = raw({1, h.heads, h.dim, 2}, ACL_FLOAT8_E8M0, along);
  const Array& p_scale = array({1}, ACL_FLOAT, {256});
  const Array& out = fresh(query.dims, ACL_BF16);
  aclTensorList* keys = list(key);
  aclTensorList* values_list = list(value);
  char layout[] = "TND";
  const std::nullptr_t none = nullptr;
  const int64_t zero = 0;
  const int64_t all = 2147483647;
  run(aclnnFusedInferAttentionScoreV5, aclnnFusedInferAttentionScoreV5GetWorkspaceSize,
      query.tensor, keys, values_list, none, none, integers({h.q_length}), integers({h.kv_length}),
      none, p_scale.tensor, none, none, none, none, none, none, none, none, k_scale.tensor, none,
      v_scale.tensor, none, none, none, none, none, none, none, q_scale.tensor, none, none, none,
      h.heads, h.scale, all, all, layout, h.heads, zero, int64_t{1}, zero, zero, false, int64_t{6},
      int64_t{8}, int64_t{6}, zero, out.tensor, none);
  Floats wide = decode(v);
  for (size_t i = 0; i < wide.size(); ++i) {
    if (i / static_cast<size_t>(h.heads * h.dim) >= 32) wide[i] *= 2;
  }
  const std::vector<double> expected = attend(h, decode(q), decode(k), wide);
  const Floats got = values(out);
  for (size_t i = 0; i < got.size(); ++i) {
    // P is off by at most 2^-4 of itself and V is positive; BF16 by 2^-9.
    EXPECT_NEAR(got[i], expected[i], expected[i] * (0x1p-4 + 0x1p-8)) << i;
  }
  EXPECT_EQ(aclDestroyTensorList(keys), 0);
  EXPECT_EQ(aclDestroyTensorList(values_list), 0);
}

// A convolution by its definition: x [1, in, t, h, w], w [out, in, kt, kh, kw].
struct Shape3d {
  int64_t in, out, t, h, w, kt, kh, kw, stride, pad_h, pad_w;
  int64_t rows() const { return (h + 2 * pad_h - kh) / stride + 1; }
  int64_t columns() const { return (w + 2 * pad_w - kw) / stride + 1; }
  int64_t frames() const { return t - kt + 1; }
};

double at(const Shape3d& s, const Floats& x, const Floats& weight, const Dims& where) {
  const int64_t channel = where[0];
  double sum = 0;
  for (int64_t c = 0; c < s.in; ++c) {
    for (int64_t i = 0; i < s.kt * s.kh * s.kw; ++i) {
      const int64_t frame = where[1] + i / (s.kh * s.kw);
      const int64_t row = where[2] * s.stride + i / s.kw % s.kh - s.pad_h;
      const int64_t column = where[3] * s.stride + i % s.kw - s.pad_w;
      if (row < 0 || row >= s.h || column < 0 || column >= s.w) continue;
      const int64_t from = ((c * s.t + frame) * s.h + row) * s.w + column;
      sum += static_cast<double>(x[static_cast<size_t>(from)]) *
             weight[static_cast<size_t>((channel * s.in + c) * s.kt * s.kh * s.kw + i)];
    }
  }
  return sum;
}

TEST_F(StandInLargeOperatorTest, ConvolutionInThreeDimensionsOfAChannelsLastView) {
  const Shape3d s{3, 4, 4, 5, 6, 3, 3, 3, 2, 1, 0};
  const Floats x = pattern(s.in * s.t * s.h * s.w);
  const Floats weight = pattern(s.out * s.in * s.kt * s.kh * s.kw, 11);
  Floats last(x.size());  // [t, h, w, in]
  for (int64_t c = 0; c < s.in; ++c) {
    for (int64_t i = 0; i < s.t * s.h * s.w; ++i) {
      last[static_cast<size_t>(i * s.in + c)] = x[static_cast<size_t>(c * s.t * s.h * s.w + i)];
    }
  }
  const Array& memory = array({s.t, s.h, s.w, s.in}, ACL_BF16, last, ACL_FORMAT_NCDHW);
  aclTensor* input = view(memory, {1, s.in, s.t, s.h, s.w},
                          {s.t * s.h * s.w * s.in, 1, s.h * s.w * s.in, s.w * s.in, s.in});
  const Array& w = array({s.out, s.in, s.kt, s.kh, s.kw}, ACL_BF16, weight, ACL_FORMAT_NCDHW);
  const Array& bias = array({s.out}, ACL_BF16, {0.5f, -0.25f, 1, 2});
  const Array& y = fresh({1, s.out, s.frames(), s.rows(), s.columns()}, ACL_BF16, ACL_FORMAT_NCDHW);
  run(aclnnConvolution, aclnnConvolutionGetWorkspaceSize, input, w.tensor, bias.tensor,
      integers({1, 2, 2}), integers({0, 1, 0}), integers({1, 1, 1}), false, integers({0, 0, 0}),
      int64_t{1}, y.tensor, int8_t{0});
  const Floats got = values(y);
  const Floats terms = values(bias);
  size_t i = 0;
  for (int64_t c = 0; c < s.out; ++c) {
    for (int64_t place = 0; place < s.frames() * s.rows() * s.columns(); ++place, ++i) {
      const Dims where{c, place / (s.rows() * s.columns()), place / s.columns() % s.rows(),
                       place % s.columns()};
      EXPECT_EQ(got[i], bf16(at(s, x, weight, where) + terms[static_cast<size_t>(c)])) << i;
    }
  }
}

TEST_F(StandInLargeOperatorTest, ConvolutionInTwoDimensionsMayBePaddedOnOneSide) {
  const Shape3d s{2, 3, 1, 4, 4, 1, 3, 3, 2, 0, 0};
  const Floats x = pattern(s.in * s.h * s.w);
  const Floats weight = pattern(s.out * s.in * s.kh * s.kw, 11);
  const Array& input = array({1, s.in, s.h, s.w}, ACL_FLOAT, x, ACL_FORMAT_NCHW);
  const Array& w = array({s.out, s.in, s.kh, s.kw}, ACL_FLOAT, weight, ACL_FORMAT_NCHW);
  const Array& y = fresh({1, s.out, 2, 2}, ACL_FLOAT, ACL_FORMAT_NCHW);
  run(aclnnConvolution, aclnnConvolutionGetWorkspaceSize, input.tensor, w.tensor, nullptr,
      integers({2, 2}), integers({0, 1, 0, 1}), integers({1, 1}), false, integers({0, 0}),
      int64_t{1}, y.tensor, int8_t{0});
  const Floats got = values(y);
  for (int64_t i = 0; i < 3 * 4; ++i) {
    const Dims where{i / 4, 0, i / 2 % 2, i % 2};
    EXPECT_NEAR(got[static_cast<size_t>(i)], at(s, x, weight, where), 1e-6) << i;
  }
}

}  // namespace
}  // namespace mxvideo::test
