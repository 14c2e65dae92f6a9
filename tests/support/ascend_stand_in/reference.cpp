#include "support/ascend_stand_in/reference.h"

#include <algorithm>
#include <vector>

#include "base/parallel.h"
#include "kernels/attention/rows.h"
#include "kernels/conv3d/rows.h"
#include "kernels/elementwise/rows.h"
#include "kernels/layer_norm/rows.h"
#include "kernels/matmul/rows.h"
#include "kernels/rms_norm/rows.h"

namespace ascend_stand_in::reference {
namespace {

namespace kernels = mxvideo::kernels;

Values unary(kernels::ElementwiseOp op, const Values& x) {
  Values y(x.size());
  kernels::ElementwiseArgs args;
  args.op = op;
  args.x = x.data();
  args.y = y.data();
  args.count = static_cast<int64_t>(x.size());
  kernels::elementwise_reference(args);
  return y;
}

}  // namespace

void layer_norm(const LayerNorm& norm, float* y) {
  kernels::LayerNormArgs args;
  args.x = norm.x;
  args.y = y;
  args.rows = norm.rows;
  args.dim = norm.dim;
  args.epsilon = static_cast<float>(norm.epsilon);
  args.weight = norm.weight;
  args.bias = norm.bias;
  args.scale = norm.scale;
  args.shift = norm.shift;
  kernels::layer_norm_reference(args);
}

Values rms_norm(const Values& x, const Values& weight, double epsilon) {
  Values y(x.size());
  kernels::RmsNormArgs args;
  args.x = x.data();
  args.y = y.data();
  args.dim = static_cast<int64_t>(weight.size());
  args.rows = static_cast<int64_t>(x.size() / weight.size());
  args.epsilon = static_cast<float>(epsilon);
  args.weight = weight.data();
  kernels::rms_norm_reference(args);
  return y;
}

Values silu(const Values& x) { return unary(kernels::ElementwiseOp::kSilu, x); }

Values gelu_tanh(const Values& x) { return unary(kernels::ElementwiseOp::kGeluTanh, x); }

void matmul(const Product& product, float* y) {
  // By rows, so that the threads share the work; each row's sum is one thread's.
  mxvideo::parallel_for(product.m, 1, [&](int64_t begin, int64_t end) {
    kernels::MatmulTile args;
    args.x = product.x + begin * product.k;
    args.x_stride = product.k;
    args.weight = reinterpret_cast<const std::byte*>(product.weight);
    args.weight_dtype = mxvideo::DType::kF32;
    args.y = y + begin * product.n;
    args.y_stride = product.n;
    args.m = end - begin;
    args.n = product.n;
    args.k = product.k;
    kernels::matmul_reference(args);
  });
}

void attention(const Attention& args, float* out) {
  std::vector<double> scratch(static_cast<size_t>(args.head_dim));
  kernels::AttentionBlock block;
  block.q = args.q;
  block.k = args.k;
  block.v = args.v;
  block.out = out;
  block.q_length = args.q_length;
  block.kv_length = args.kv_length;
  block.heads = args.heads;
  block.head_dim = args.head_dim;
  const int64_t row = args.heads * args.head_dim;
  block.q_stride = block.kv_stride = block.k_stride = block.out_stride = row;
  block.scale = static_cast<float>(args.scale);
  block.scratch = reinterpret_cast<float*>(scratch.data());
  kernels::attention_reference(block);
}

void convolution(const Convolution& shape, const float* x, const float* weight, const float* bias,
                 float* y) {
  kernels::Conv3dArgs args;
  args.shape.in_channels = shape.in;
  args.shape.out_channels = shape.out;
  args.shape.kernel_t = shape.kt;
  args.shape.kernel_h = shape.kh;
  args.shape.kernel_w = shape.kw;
  args.shape.stride_t = shape.st;
  args.shape.stride_h = shape.sh;
  args.shape.stride_w = shape.sw;
  args.extent.t = shape.t;
  args.extent.h = shape.h;
  args.extent.w = shape.w;
  args.x = x;
  args.weight = weight;
  args.bias = bias;
  args.y = y;
  kernels::conv3d_reference(args);
}

}  // namespace ascend_stand_in::reference
