// aclnnAdd, Mul, Muls, Addcmul, Clamp, GeluV2, Silu, IsFinite, LogicalNot.
//
// Rounding: operands are exact in fp32, the sum or product is made in double and rounded once to
// the type that the operands promote to (BF16 with FP32 gives FP32, BF16 with FP16 gives FP32),
// then to that of the output.
#include <algorithm>
#include <cmath>

#include "support/ascend_stand_in/executor.h"
#include "support/ascend_stand_in/reference.h"

namespace ascend_stand_in {
namespace {

using Values = std::vector<float>;

constexpr auto kFloats = {ACL_FLOAT, ACL_FLOAT16, ACL_BF16};

aclDataType promoted(aclDataType a, aclDataType b) { return a == b ? a : ACL_FLOAT; }

// Checks one to three operands that are broadcast to the output, and the output. Returns the type
// that the operands promote to.
aclDataType check_broadcast(Plan& plan, std::initializer_list<const Tensor*> operands,
                            const Tensor& out) {
  Dims dims;
  aclDataType type = (*operands.begin())->dtype;
  for (const Tensor* operand : operands) {
    plan.require_type(*operand, "an operand", kFloats);
    plan.require_rank(*operand, "an operand", 0, 8);
    const Dims before = dims;
    plan.require(broadcast(before, operand->dims, dims),
                 text_of(before) + " and " + text_of(operand->dims) + " do not broadcast");
    type = promoted(type, operand->dtype);
  }
  plan.require_type(out, "out", kFloats);
  plan.require_dims(out, "out", dims);
  return type;
}

Values read_as(const View& view, const Dims& dims) { return read(broadcast_to(view, dims)); }

// Writes what `value(i)`, in double, gives, rounded to `type` and then to the output's.
template <class Value>
void write_each(const View& out, aclDataType type, Value value) {
  Values values(static_cast<size_t>(count_of(out.dims)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = rounded_to(type, value(i));
  write(out, values);
}

// self, out: the same dims and a type of floats in common.
void check_unary(Plan& plan, const Tensor& self, const Tensor& out) {
  plan.require_type(self, "self", kFloats);
  plan.require_type(out, "out", {self.dtype});
  plan.require_rank(self, "self", 0, 8);
  plan.require_dims(out, "out", self.dims);
}

double gelu_erf(double x) { return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0))); }

}  // namespace

aclnnStatus aclnnAddGetWorkspaceSize(const aclTensor* self, const aclTensor* other,
                                     const aclScalar* alpha, aclTensor* out,
                                     uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnAdd, [&](Plan& plan) {
    const Tensor& a = plan.input(self, "self");
    const Tensor& b = plan.input(other, "other");
    const double factor = plan.scalar(alpha, "alpha");
    const aclDataType type = check_broadcast(plan, {&a, &b}, plan.output(out, "out"));
    plan.compute([type, factor](const Operands& t) {
      const Values x = read_as(t.in[0], t.out[0].dims);
      const Values z = read_as(t.in[1], t.out[0].dims);
      write_each(t.out[0], type, [&](size_t i) { return x[i] + factor * z[i]; });
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnAdd)

aclnnStatus aclnnMulGetWorkspaceSize(const aclTensor* self, const aclTensor* other, aclTensor* out,
                                     uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnMul, [&](Plan& plan) {
    const Tensor& a = plan.input(self, "self");
    const Tensor& b = plan.input(other, "other");
    const aclDataType type = check_broadcast(plan, {&a, &b}, plan.output(out, "out"));
    plan.compute([type](const Operands& t) {
      const Values x = read_as(t.in[0], t.out[0].dims);
      const Values z = read_as(t.in[1], t.out[0].dims);
      write_each(t.out[0], type, [&](size_t i) { return static_cast<double>(x[i]) * z[i]; });
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnMul)

aclnnStatus aclnnMulsGetWorkspaceSize(const aclTensor* self, const aclScalar* other, aclTensor* out,
                                      uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnMuls, [&](Plan& plan) {
    const Tensor& a = plan.input(self, "self");
    const double factor = plan.scalar(other, "other");
    const aclDataType type = check_broadcast(plan, {&a}, plan.output(out, "out"));
    plan.compute([type, factor](const Operands& t) {
      const Values x = read(t.in[0]);
      write_each(t.out[0], type, [&](size_t i) { return x[i] * factor; });
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnMuls)

aclnnStatus aclnnAddcmulGetWorkspaceSize(const aclTensor* self, const aclTensor* tensor1,
                                         const aclTensor* tensor2, const aclScalar* value,
                                         aclTensor* out, uint64_t* workspace_size,
                                         aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnAddcmul, [&](Plan& plan) {
    const Tensor& a = plan.input(self, "self");
    const Tensor& b = plan.input(tensor1, "tensor1");
    const Tensor& c = plan.input(tensor2, "tensor2");
    const double factor = plan.scalar(value, "value");
    const aclDataType type = check_broadcast(plan, {&a, &b, &c}, plan.output(out, "out"));
    plan.compute([type, factor](const Operands& t) {
      const Values x = read_as(t.in[0], t.out[0].dims);
      const Values y = read_as(t.in[1], t.out[0].dims);
      const Values z = read_as(t.in[2], t.out[0].dims);
      write_each(t.out[0], type, [&](size_t i) { return x[i] + factor * y[i] * z[i]; });
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnAddcmul)

// Either bound may be missing, not both; NaN stays NaN.
aclnnStatus aclnnClampGetWorkspaceSize(const aclTensor* self, const aclScalar* clip_value_min,
                                       const aclScalar* clip_value_max, aclTensor* out,
                                       uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnClamp, [&](Plan& plan) {
    const Tensor& a = plan.input(self, "self");
    if (clip_value_min == nullptr && clip_value_max == nullptr) {
      refuse(ACLNN_ERR_PARAM_NULLPTR, "clipValueMin and clipValueMax are null");
    }
    const double least =
        clip_value_min == nullptr ? -INFINITY : plan.scalar(clip_value_min, "clipValueMin");
    const double most =
        clip_value_max == nullptr ? INFINITY : plan.scalar(clip_value_max, "clipValueMax");
    check_unary(plan, a, plan.output(out, "out"));
    plan.compute([least, most](const Operands& t) {
      const Values x = read(t.in[0]);
      write_each(t.out[0], t.out[0].dtype, [&](size_t i) {
        const double value = x[i];
        return std::isnan(value) ? value : std::min(std::max(value, least), most);
      });
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnClamp)

// approximate 0: by erf; 1: by tanh. In fp32, rounded once.
aclnnStatus aclnnGeluV2GetWorkspaceSize(const aclTensor* x, int64_t approximate, aclTensor* y,
                                        uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnGeluV2, [&](Plan& plan) {
    const Tensor& a = plan.input(x, "x");
    check_unary(plan, a, plan.output(y, "y"));
    plan.require(approximate == 0 || approximate == 1,
                 "approximate is " + std::to_string(approximate) + ", expected 0 or 1");
    plan.compute([approximate](const Operands& t) {
      const Values values = read(t.in[0]);
      if (approximate == 1) return write(t.out[0], reference::gelu_tanh(values));
      write_each(t.out[0], ACL_FLOAT, [&](size_t i) { return gelu_erf(values[i]); });
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnGeluV2)

aclnnStatus aclnnSiluGetWorkspaceSize(const aclTensor* self, aclTensor* out,
                                      uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnSilu, [&](Plan& plan) {
    const Tensor& a = plan.input(self, "self");
    check_unary(plan, a, plan.output(out, "out"));
    plan.compute([](const Operands& t) { write(t.out[0], reference::silu(read(t.in[0]))); });
  });
}
STAND_IN_SECOND_PHASE(aclnnSilu)

aclnnStatus aclnnIsFiniteGetWorkspaceSize(const aclTensor* self, aclTensor* out,
                                          uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnIsFinite, [&](Plan& plan) {
    const Tensor& a = plan.input(self, "self");
    const Tensor& result = plan.output(out, "out");
    plan.require_type(a, "self", kFloats);
    plan.require_type(result, "out", {ACL_BOOL});
    plan.require_dims(result, "out", a.dims);
    plan.compute([](const Operands& t) {
      const Values values = read(t.in[0]);
      write_each(t.out[0], ACL_BOOL, [&](size_t i) { return std::isfinite(values[i]) ? 1 : 0; });
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnIsFinite)

aclnnStatus aclnnLogicalNotGetWorkspaceSize(const aclTensor* self, aclTensor* out,
                                            uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnLogicalNot, [&](Plan& plan) {
    const Tensor& a = plan.input(self, "self");
    const Tensor& result = plan.output(out, "out");
    plan.require_type(a, "self", {ACL_BOOL, ACL_UINT8, ACL_FLOAT, ACL_FLOAT16, ACL_BF16});
    plan.require_type(result, "out", {ACL_BOOL, ACL_UINT8, ACL_FLOAT, ACL_FLOAT16, ACL_BF16});
    plan.require_dims(result, "out", a.dims);
    plan.compute([](const Operands& t) {
      const Values values = read(t.in[0]);
      write_each(t.out[0], t.out[0].dtype, [&](size_t i) { return values[i] == 0 ? 1 : 0; });
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnLogicalNot)

}  // namespace ascend_stand_in
