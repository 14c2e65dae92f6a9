// What the operators compute with: the reference kernels of src/kernels/, which sum in double and
// round once to fp32, on plain arrays. The only file here that knows them. Nothing throws.
#pragma once

#include <cstdint>
#include <vector>

namespace ascend_stand_in::reference {

using Values = std::vector<float>;

// y = (x - mean)·rstd·weight + bias, then ·(1 + scale) + shift; arrays of dim, or null.
struct LayerNorm {
  const float* x;
  int64_t rows;
  int64_t dim;
  double epsilon;
  const float* weight = nullptr;
  const float* bias = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
};
void layer_norm(const LayerNorm& norm, float* y);

// x / sqrt(mean(x²) + epsilon) · weight, rows of weight.size().
Values rms_norm(const Values& x, const Values& weight, double epsilon);

Values silu(const Values& x);
Values gelu_tanh(const Values& x);

// x [m, k] times the transpose of weight [n, k].
struct Product {
  const float* x;
  const float* weight;
  int64_t m;
  int64_t n;
  int64_t k;
};
void matmul(const Product& product, float* y);

// softmax(scale·q·kᵀ)·v for [length, heads, head_dim].
struct Attention {
  const float* q;
  const float* k;
  const float* v;
  int64_t q_length;
  int64_t kv_length;
  int64_t heads;
  int64_t head_dim;
  double scale;
};
void attention(const Attention& args, float* out);

// Without padding; x [t, h, w, in], weight [out, in, kt, kh, kw], y [ot, oh, ow, out].
struct Convolution {
  int64_t in, out;
  int64_t t, h, w;
  int64_t kt, kh, kw;
  int64_t st, sh, sw;
};
void convolution(const Convolution& shape, const float* x, const float* weight, const float* bias,
                 float* y);

}  // namespace ascend_stand_in::reference
