// aclnnConvolution: 2-D (NCHW) and 3-D (NCDHW), one group, no dilation, not transposed.
//
// Rounding: the sum is in double, the bias is added as FLOAT ("the bias takes part as FLOAT"), one
// rounding to the output's type.
#include <algorithm>

#include "support/ascend_stand_in/executor.h"
#include "support/ascend_stand_in/reference.h"

namespace ascend_stand_in {
namespace {

using Values = std::vector<float>;

// Of depth, height, width; a 2-D convolution has depth 1.
struct Space {
  int64_t kernel = 1, stride = 1, before = 0, after = 0;
};

struct Shape {
  Space space[3];
  int64_t output(int axis, int64_t size) const {
    const Space& s = space[axis];
    return (size + s.before + s.after - s.kernel) / s.stride + 1;
  }
};

Dims in_five(const Dims& dims) {
  return dims.size() == 5 ? dims : Dims{dims[0], dims[1], 1, dims[2], dims[3]};
}

View in_five(const View& view) {
  if (view.dims.size() == 5) return view;
  View out = view;
  out.dims.insert(out.dims.begin() + 2, 1);
  out.strides.insert(out.strides.begin() + 2, 0);
  return out;
}

void check_range(const Plan& plan, const Dims& values, int64_t least, int64_t most,
                 const char* name) {
  for (const int64_t value : values) {
    plan.require(value >= least && value <= most, std::string(name) + " " + text_of(values) +
                                                      " is not in " + std::to_string(least) +
                                                      " to " + std::to_string(most));
  }
}

// `padding`: 3 values for 3-D; 2, or 4 (top, bottom, left, right), for 2-D.
Shape shape_of(const Plan& plan, const Dims& weight, const Dims& stride, const Dims& padding) {
  const size_t spaces = weight.size() - 2;
  plan.require(stride.size() == spaces, "stride " + text_of(stride) + " for " + text_of(weight));
  const bool both_sides = spaces == 2 && padding.size() == 4;
  plan.require(both_sides || padding.size() == spaces,
               "padding " + text_of(padding) + " for " + text_of(weight));
  check_range(plan, stride, 1, 63, "stride");
  check_range(plan, padding, 0, 255, "padding");
  Shape shape;
  for (size_t i = 0; i < spaces; ++i) {
    Space& space = shape.space[3 - spaces + i];
    space.kernel = weight[2 + i];
    space.stride = stride[i];
    space.before = both_sides ? padding[2 * i] : padding[i];
    space.after = both_sides ? padding[2 * i + 1] : padding[i];
  }
  check_range(plan, {shape.space[1].kernel, shape.space[2].kernel}, 1, 511, "the kernel");
  return shape;
}

// [n, c, d, h, w] in any strides to [n, d, h, w, c] with zeros around.
Values pad_to_channels_last(const View& view, const Shape& shape, Dims& padded) {
  const Values x = read(view);
  const Dims& dims = view.dims;
  padded = {dims[0], 0, 0, 0, dims[1]};
  for (int axis = 0; axis < 3; ++axis) {
    padded[static_cast<size_t>(axis) + 1] =
        dims[static_cast<size_t>(axis) + 2] + shape.space[axis].before + shape.space[axis].after;
  }
  Values out(static_cast<size_t>(count_of(padded)));
  for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
    const int64_t w = i % dims[4];
    const int64_t h = i / dims[4] % dims[3];
    const int64_t d = i / (dims[4] * dims[3]) % dims[2];
    const int64_t c = i / (dims[4] * dims[3] * dims[2]) % dims[1];
    const int64_t n = i / (dims[4] * dims[3] * dims[2] * dims[1]);
    const int64_t row =
        (n * padded[1] + d + shape.space[0].before) * padded[2] + h + shape.space[1].before;
    const int64_t pixel = row * padded[3] + w + shape.space[2].before;
    out[static_cast<size_t>(pixel * dims[1] + c)] = x[static_cast<size_t>(i)];
  }
  return out;
}

// A view of [n, c, d, h, w] in the order of [n, d, h, w, c].
View channels_last(const View& view) {
  View out = view;
  std::rotate(out.dims.begin() + 1, out.dims.begin() + 2, out.dims.end());
  std::rotate(out.strides.begin() + 1, out.strides.begin() + 2, out.strides.end());
  return out;
}

void compute(const Operands& t, const Shape& shape) {
  Dims padded;
  const Values x = pad_to_channels_last(in_five(t.in[0]), shape, padded);
  const Values weight = read(t.in[1]);
  const View y = in_five(t.out[0]);
  const int64_t outputs = y.dims[1];
  const Values bias =
      t.in[2].data == nullptr ? Values(static_cast<size_t>(outputs)) : read(t.in[2]);
  const int64_t x_size = count_of(padded) / padded[0];
  const int64_t y_size = count_of(y.dims) / y.dims[0];
  Values result(static_cast<size_t>(count_of(y.dims)));
  for (int64_t n = 0; n < padded[0]; ++n) {
    reference::convolution({.in = padded[4],
                            .out = outputs,
                            .t = padded[1],
                            .h = padded[2],
                            .w = padded[3],
                            .kt = shape.space[0].kernel,
                            .kh = shape.space[1].kernel,
                            .kw = shape.space[2].kernel,
                            .st = shape.space[0].stride,
                            .sh = shape.space[1].stride,
                            .sw = shape.space[2].stride},
                           x.data() + n * x_size, weight.data(), bias.data(),
                           result.data() + n * y_size);
  }
  write(channels_last(y), result);
}

// Types, formats and dims of all tensors; returns the shape.
void check_types(const Plan& plan, const Tensor& x, const Tensor& w, const Tensor* b,
                 const Tensor& y) {
  plan.require_type(x, "input", {ACL_FLOAT, ACL_FLOAT16, ACL_BF16});
  plan.require_type(w, "weight", {x.dtype});
  plan.require_type(y, "output", {x.dtype});
  plan.require_rank(x, "input", 4, 5);
  plan.require_rank(w, "weight", x.rank(), x.rank());
  plan.require_rank(y, "output", x.rank(), x.rank());
  const aclFormat format = x.rank() == 5 ? ACL_FORMAT_NCDHW : ACL_FORMAT_NCHW;
  for (const Tensor* tensor : {&x, &w, &y}) {
    plan.require(tensor->format == format, "input, weight and output have format " +
                                               std::to_string(format) + ", not " +
                                               std::to_string(tensor->format));
  }
  plan.require(x.count() > 0 && w.count() > 0, "input or weight is empty");
  plan.require(x.dims[1] == w.dims[1], "input " + text_of(x.dims) +
                                           " has other channels than "
                                           "weight " +
                                           text_of(w.dims));
  if (b == nullptr) return;
  plan.require_type(*b, "bias", {x.dtype});
  plan.require_dims(*b, "bias", {w.dims[0]});
}

}  // namespace

aclnnStatus aclnnConvolutionGetWorkspaceSize(
    const aclTensor* input, const aclTensor* weight, const aclTensor* bias,
    const aclIntArray* stride, const aclIntArray* padding, const aclIntArray* dilation,
    bool transposed, const aclIntArray* output_padding, const int64_t groups, aclTensor* output,
    int8_t cube_math_type, uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnConvolution, [&](Plan& plan) {
    const Tensor& x = plan.input(input, "input");
    const Tensor& w = plan.input(weight, "weight");
    const Tensor* b = plan.optional_input(bias, "bias");
    const Dims steps = plan.integers(stride, "stride");
    const Dims pads = plan.integers(padding, "padding");
    const Dims dilations = plan.integers(dilation, "dilation");
    plan.integers(output_padding, "outputPadding");
    const Tensor& y = plan.output(output, "output");
    check_types(plan, x, w, b, y);
    plan.require(!transposed && groups == 1,
                 "the stand-in computes one group and no transposed convolution");
    plan.require(dilations == Dims(w.dims.size() - 2, 1),
                 "the stand-in computes no dilation, not " + text_of(dilations));
    const bool exact = cube_math_type == 0 || (cube_math_type == 1 && x.dtype != ACL_FLOAT);
    plan.require(exact, "the stand-in keeps types: cubeMathType " + std::to_string(cube_math_type) +
                            " with " + name_of(x.dtype));
    const Shape shape = shape_of(plan, w.dims, steps, pads);
    Dims expected = x.dims;
    expected[1] = w.dims[0];
    const Dims five = in_five(x.dims);
    for (size_t axis = 5 - (x.dims.size() - 2); axis < 5; ++axis) {
      const auto space = static_cast<int>(axis) - 2;
      const int64_t size = five[axis] + shape.space[space].before + shape.space[space].after;
      plan.require(size >= shape.space[space].kernel,
                   "input " + text_of(x.dims) + " is smaller than weight " + text_of(w.dims));
      expected[axis - (5 - x.dims.size())] = shape.output(space, five[axis]);
    }
    plan.require_dims(y, "output", expected);
    plan.workspace(4096);
    plan.compute([shape](const Operands& t) { compute(t, shape); });
  });
}
STAND_IN_SECOND_PHASE(aclnnConvolution)

}  // namespace ascend_stand_in
