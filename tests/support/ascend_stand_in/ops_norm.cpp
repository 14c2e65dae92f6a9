// aclnnLayerNorm, AdaLayerNormV2, RmsNorm, RotaryPositionEmbedding, Softmax.
//
// Rounding: inputs are exact in fp32, everything between is in double, the result is rounded once
// to fp32 and then to the output's type.
#include <algorithm>
#include <cmath>

#include "support/ascend_stand_in/executor.h"
#include "support/ascend_stand_in/reference.h"

namespace ascend_stand_in {
namespace {

using Values = std::vector<float>;

constexpr auto kFloats = {ACL_FLOAT, ACL_FLOAT16, ACL_BF16};

Values read_optional(const View& view) { return view.data == nullptr ? Values() : read(view); }

const float* data_or_null(const Values& values) { return values.empty() ? nullptr : values.data(); }

// Weight and bias of a norm: of x's type or FLOAT, of one type if both are there, and of x's type
// where `alone_as_x` and one is missing.
void check_affine(const Plan& plan, const Tensor& x, const Tensor* weight, const Tensor* bias,
                  bool alone_as_x) {
  for (const Tensor* tensor : {weight, bias}) {
    if (tensor == nullptr) continue;
    plan.require_type(*tensor, "weight or bias", {x.dtype, ACL_FLOAT});
    if (alone_as_x && (weight == nullptr || bias == nullptr)) {
      plan.require_type(*tensor, "weight or bias, alone,", {x.dtype});
    }
  }
  if (weight != nullptr && bias != nullptr) plan.require_type(*bias, "bias", {weight->dtype});
}

void check_norm(const Plan& plan, const Tensor& x, const Tensor& out) {
  plan.require_type(x, "x", kFloats);
  plan.require_type(out, "out", {x.dtype});
  plan.require_dims(out, "out", x.dims);
}

int64_t axis_of(const Plan& plan, int64_t dim, int64_t rank) {
  plan.require(dim >= -rank && dim < rank,
               "dim " + std::to_string(dim) + " of " + std::to_string(rank) + " dimensions");
  return dim < 0 ? dim + rank : dim;
}

// `scale` or `shift` of AdaLayerNormV2: [B…, H] or [B…, 1, H] for x [B…, S, H].
void check_modulation(const Plan& plan, const Tensor& x, const Tensor& vector, const char* name) {
  plan.require_type(vector, name, {x.dtype});
  Dims shorter(x.dims.begin(), x.dims.end() - 2);
  Dims longer = shorter;
  shorter.push_back(x.dims.back());
  longer.push_back(1);
  longer.push_back(x.dims.back());
  plan.require(vector.dims == shorter || vector.dims == longer,
               std::string(name) + " is " + text_of(vector.dims) + ", expected " +
                   text_of(shorter) + " or " + text_of(longer));
}

double squares_mean(const float* row, int64_t dim) {
  double sum = 0;
  for (int64_t i = 0; i < dim; ++i) sum += static_cast<double>(row[i]) * row[i];
  return sum / static_cast<double>(dim);
}

// out = x·cos + rotated·sin in double; mode 0 rotates halves, mode 1 pairs.
Values rotate(const Values& x, const Values& cos, const Values& sin, int64_t dim, int64_t mode) {
  Values out(x.size());
  const int64_t half = dim / 2;
  for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
    const int64_t at = i % dim;
    const bool first = mode == 0 ? at < half : at % 2 == 0;
    const int64_t distance = mode == 0 ? half : 1;
    const double partner = first ? -static_cast<double>(x[static_cast<size_t>(i + distance)])
                                 : x[static_cast<size_t>(i - distance)];
    const auto n = static_cast<size_t>(i);
    out[n] = static_cast<float>(static_cast<double>(x[n]) * cos[n] + partner * sin[n]);
  }
  return out;
}

void softmax_along(Values& values, const Dims& dims, int64_t axis) {
  const int64_t length = dims[static_cast<size_t>(axis)];
  int64_t inner = 1;
  for (size_t d = static_cast<size_t>(axis) + 1; d < dims.size(); ++d) inner *= dims[d];
  const int64_t lines = length == 0 ? 0 : count_of(dims) / length;
  for (int64_t line = 0; line < lines; ++line) {
    float* first = values.data() + line / inner * length * inner + line % inner;
    double largest = -INFINITY;
    for (int64_t i = 0; i < length; ++i) {
      largest = std::max<double>(largest, first[i * inner]);
    }
    double sum = 0;
    for (int64_t i = 0; i < length; ++i) sum += std::exp(first[i * inner] - largest);
    for (int64_t i = 0; i < length; ++i) {
      first[i * inner] = static_cast<float>(std::exp(first[i * inner] - largest) / sum);
    }
  }
}

}  // namespace

aclnnStatus aclnnLayerNormGetWorkspaceSize(const aclTensor* input,
                                           const aclIntArray* normalized_shape,
                                           const aclTensor* weight, const aclTensor* bias,
                                           double eps, aclTensor* out, aclTensor* mean_out,
                                           aclTensor* rstd_out, uint64_t* workspace_size,
                                           aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnLayerNorm, [&](Plan& plan) {
    const Tensor& x = plan.input(input, "input");
    const Dims normed = plan.integers(normalized_shape, "normalizedShape");
    const Tensor* w = plan.optional_input(weight, "weight");
    const Tensor* b = plan.optional_input(bias, "bias");
    plan.require_absent({mean_out, rstd_out}, "meanOut and rstdOut");
    check_norm(plan, x, plan.output(out, "out"));
    plan.require_rank(x, "input", 1, 8);
    plan.require(!normed.empty() && normed.size() <= x.dims.size() &&
                     std::equal(normed.rbegin(), normed.rend(), x.dims.rbegin()),
                 "normalizedShape " + text_of(normed) + " is not the end of " + text_of(x.dims));
    check_affine(plan, x, w, b, true);
    if (w != nullptr) plan.require_dims(*w, "weight", normed);
    if (b != nullptr) plan.require_dims(*b, "bias", normed);
    const int64_t dim = count_of(normed);
    plan.compute([dim, eps](const Operands& t) {
      const Values values = read(t.in[0]);
      const Values scale = read_optional(t.in[1]);
      const Values shift = read_optional(t.in[2]);
      Values y(values.size());
      reference::layer_norm({.x = values.data(),
                             .rows = static_cast<int64_t>(values.size()) / dim,
                             .dim = dim,
                             .epsilon = eps,
                             .weight = data_or_null(scale),
                             .bias = data_or_null(shift)},
                            y.data());
      write(t.out[0], y);
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnLayerNorm)

aclnnStatus aclnnAdaLayerNormV2GetWorkspaceSize(const aclTensor* x, const aclTensor* scale,
                                                const aclTensor* shift, const aclTensor* weight,
                                                const aclTensor* bias, double epsilon,
                                                aclTensor* out, aclTensor* mean_out,
                                                aclTensor* rstd_out, uint64_t* workspace_size,
                                                aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnAdaLayerNormV2, [&](Plan& plan) {
    const Tensor& values = plan.input(x, "x");
    plan.require_rank(values, "x", 2, 8);
    plan.require(values.count() > 0, "x is empty");
    check_modulation(plan, values, plan.input(scale, "scale"), "scale");
    check_modulation(plan, values, plan.input(shift, "shift"), "shift");
    const int64_t dim = values.dims.back();
    const Tensor* w = plan.optional_input(weight, "weight");
    const Tensor* b = plan.optional_input(bias, "bias");
    check_affine(plan, values, w, b, false);
    if (w != nullptr) plan.require_dims(*w, "weight", {dim});
    if (b != nullptr) plan.require_dims(*b, "bias", {dim});
    plan.require_absent({mean_out, rstd_out}, "meanOut and rstdOut");
    check_norm(plan, values, plan.output(out, "out"));
    const int64_t rows = values.dims[values.dims.size() - 2];
    plan.compute([rows, dim, epsilon](const Operands& t) {
      const Values in = read(t.in[0]);
      const Values factor = read(t.in[1]);
      const Values term = read(t.in[2]);
      const Values w_values = read_optional(t.in[3]);
      const Values b_values = read_optional(t.in[4]);
      Values y(in.size());
      const auto batches = static_cast<int64_t>(in.size()) / (rows * dim);
      for (int64_t batch = 0; batch < batches; ++batch) {
        reference::layer_norm({.x = in.data() + batch * rows * dim,
                               .rows = rows,
                               .dim = dim,
                               .epsilon = epsilon,
                               .weight = data_or_null(w_values),
                               .bias = data_or_null(b_values),
                               .scale = factor.data() + batch * dim,
                               .shift = term.data() + batch * dim},
                              y.data() + batch * rows * dim);
      }
      write(t.out[0], y);
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnAdaLayerNormV2)

// x and gamma of one type, or gamma FLOAT; rstd, which must be given, is FLOAT.
aclnnStatus aclnnRmsNormGetWorkspaceSize(const aclTensor* x, const aclTensor* gamma, double epsilon,
                                         const aclTensor* y, const aclTensor* rstd,
                                         uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnRmsNorm, [&](Plan& plan) {
    const Tensor& values = plan.input(x, "x");
    const Tensor& weight = plan.input(gamma, "gamma");
    check_norm(plan, values, plan.output(y, "y"));
    plan.require_type(weight, "gamma", {values.dtype, ACL_FLOAT});
    plan.require_rank(values, "x", 1, 8);
    plan.require_rank(weight, "gamma", 1, values.rank());
    plan.require(weight.count() > 0 &&
                     std::equal(weight.dims.rbegin(), weight.dims.rend(), values.dims.rbegin()),
                 "gamma " + text_of(weight.dims) + " is not the end of " + text_of(values.dims));
    const Tensor& factors = plan.output(rstd, "rstd");
    plan.require_type(factors, "rstd", {ACL_FLOAT});
    Dims ones = values.dims;
    std::fill(ones.end() - weight.rank(), ones.end(), 1);
    plan.require_dims(factors, "rstd", ones);
    plan.compute([epsilon](const Operands& t) {
      const Values in = read(t.in[0]);
      const Values w = read(t.in[1]);
      write(t.out[0], reference::rms_norm(in, w, epsilon));
      const auto dim = static_cast<int64_t>(w.size());
      Values rows(in.size() / w.size());
      for (size_t row = 0; row < rows.size(); ++row) {
        const double mean = squares_mean(in.data() + row * w.size(), dim);
        rows[row] = static_cast<float>(1.0 / std::sqrt(mean + epsilon));
      }
      write(t.out[1], rows);
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnRmsNorm)

aclnnStatus aclnnRotaryPositionEmbeddingGetWorkspaceSize(const aclTensor* x, const aclTensor* cos,
                                                         const aclTensor* sin, int64_t mode,
                                                         aclTensor* out, uint64_t* workspace_size,
                                                         aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnRotaryPositionEmbedding, [&](Plan& plan) {
    const Tensor& values = plan.input(x, "x");
    const Tensor& c = plan.input(cos, "cos");
    const Tensor& s = plan.input(sin, "sin");
    const Tensor& result = plan.output(out, "out");
    check_norm(plan, values, result);
    plan.require_contiguous(result, "out");
    plan.require_rank(values, "x", 3, 4);
    plan.require_type(c, "cos", {values.dtype});
    plan.require_type(s, "sin", {values.dtype});
    plan.require_dims(s, "sin", c.dims);
    const int64_t dim = values.dims.back();
    plan.require(dim <= 1024 && dim % 2 == 0, "the last dimension is " + std::to_string(dim) +
                                                  ", expected an even number up to 1024");
    plan.require(c.rank() == values.rank() && c.dims.back() == dim,
                 "cos is " + text_of(c.dims) + " for x " + text_of(values.dims));
    Dims dims;
    plan.require(broadcast(values.dims, c.dims, dims) && dims == values.dims,
                 "cos " + text_of(c.dims) + " does not broadcast to x " + text_of(values.dims));
    plan.require(mode == 0 || mode == 1,
                 "the stand-in computes modes 0 and 1, not " + std::to_string(mode));
    plan.compute([dim, mode](const Operands& t) {
      const Dims& whole = t.in[0].dims;
      write(t.out[0], rotate(read(t.in[0]), read(broadcast_to(t.in[1], whole)),
                             read(broadcast_to(t.in[2], whole)), dim, mode));
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnRotaryPositionEmbedding)

aclnnStatus aclnnSoftmaxGetWorkspaceSize(const aclTensor* self, int64_t dim, aclTensor* out,
                                         uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnSoftmax, [&](Plan& plan) {
    const Tensor& x = plan.input(self, "self");
    const Tensor& result = plan.output(out, "out");
    plan.require_type(x, "self", kFloats);
    plan.require_type(result, "out", kFloats);
    plan.require_dims(result, "out", x.dims);
    plan.require_rank(x, "self", 1, 8);
    const int64_t axis = axis_of(plan, dim, x.rank());
    plan.compute([axis](const Operands& t) {
      Values values = read(t.in[0]);
      softmax_along(values, t.in[0].dims, axis);
      write(t.out[0], values);
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnSoftmax)

}  // namespace ascend_stand_in
