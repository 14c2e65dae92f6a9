// aclnnQuantMatmulV5 in its MX form, aclnnMm, aclnnMatmul.
//
// Rounding: products and their sum are in double, rounded once to fp32; the FP32 bias is added in
// fp32; then the output's type. Codes and scales decode exactly: an E4M3 value times 2^(s - 127) is
// an fp32 number but at the very ends of the scale.
#include <algorithm>

#include "support/ascend_stand_in/executor.h"
#include "support/ascend_stand_in/reference.h"

namespace ascend_stand_in {
namespace {

using Values = std::vector<float>;

constexpr auto kFloats = {ACL_FLOAT, ACL_FLOAT16, ACL_BF16};
constexpr int64_t kMxGroup = (int64_t{1} << 32) | (int64_t{1} << 16) | 32;  // 1, 1, 32
constexpr int64_t kBlock = 32;

// `view` with its last two dimensions exchanged.
View transposed(const View& view) {
  View out = view;
  const size_t last = out.dims.size() - 1;
  std::swap(out.dims[last], out.dims[last - 1]);
  std::swap(out.strides[last], out.strides[last - 1]);
  return out;
}

// A matrix, or a transposed one, whose elements lie side by side.
void require_matrix(const Plan& plan, const Tensor& tensor, const char* name) {
  Tensor swapped = tensor;
  const size_t last = tensor.dims.size() - 1;
  std::swap(swapped.dims[last], swapped.dims[last - 1]);
  std::swap(swapped.strides[last], swapped.strides[last - 1]);
  plan.require(tensor.contiguous() || swapped.contiguous(),
               std::string(name) + " is contiguous neither as it is nor transposed");
}

struct MxShape {
  Dims batch;
  int64_t rows, k;
};

// `k_last`: whether k is the matrix's last dimension; then the scale is [rows, ceil(k/64), 2],
// else [ceil(k/64), rows, 2]: transposed like its matrix.
MxShape check_mx(const Plan& plan, const Tensor& matrix, const Tensor& scale, bool k_last,
                 const std::string& name) {
  plan.require_type(matrix, name.c_str(), {ACL_FLOAT8_E4M3FN});
  plan.require_type(scale, (name + "Scale").c_str(), {ACL_FLOAT8_E8M0});
  plan.require_rank(matrix, name.c_str(), 2, 6);
  plan.require(matrix.count() > 0, name + " is empty");
  require_matrix(plan, matrix, name.c_str());
  plan.require_contiguous(scale, (name + "Scale").c_str());
  plan.require(matrix.format == ACL_FORMAT_ND, name + " has a format that is not ND");
  MxShape shape;
  shape.batch.assign(matrix.dims.begin(), matrix.dims.end() - 2);
  const int64_t last = matrix.dims.back();
  const int64_t first = matrix.dims[matrix.dims.size() - 2];
  shape.rows = k_last ? first : last;
  shape.k = k_last ? last : first;
  const int64_t pairs = (shape.k + 2 * kBlock - 1) / (2 * kBlock);
  Dims expected = shape.batch;
  expected.push_back(k_last ? shape.rows : pairs);
  expected.push_back(k_last ? pairs : shape.rows);
  expected.push_back(2);
  plan.require_dims(scale, (name + "Scale").c_str(), expected);
  return shape;
}

// [batch…, rows, k] of decoded values.
Values decode(const View& matrix, const View& scale, bool k_last) {
  Values values = read(k_last ? matrix : transposed(matrix));
  View pairs = scale;  // to [batch…, rows, pairs, 2]
  if (!k_last) {
    const size_t at = pairs.dims.size() - 2;
    std::swap(pairs.dims[at], pairs.dims[at - 1]);
    std::swap(pairs.strides[at], pairs.strides[at - 1]);
  }
  const Values scales = read(pairs);
  const int64_t k = k_last ? matrix.dims.back() : matrix.dims[matrix.dims.size() - 2];
  const int64_t stride = 2 * ((k + 2 * kBlock - 1) / (2 * kBlock));
  for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
    const int64_t row = i / k;
    values[static_cast<size_t>(i)] *= scales[static_cast<size_t>(row * stride + i % k / kBlock)];
  }
  return values;
}

// y[b] = x[b] · w[b]ᵀ for `batches` matrices; `w_batches` 1 or the same.
struct Batched {
  int64_t batches, w_batches, m, n, k;
};

Values multiply(const Batched& shape, const Values& x, const Values& w) {
  Values y(static_cast<size_t>(shape.batches * shape.m * shape.n));
  for (int64_t b = 0; b < shape.batches; ++b) {
    const int64_t from = shape.w_batches == 1 ? 0 : b;
    reference::matmul({.x = x.data() + b * shape.m * shape.k,
                       .weight = w.data() + from * shape.n * shape.k,
                       .m = shape.m,
                       .n = shape.n,
                       .k = shape.k},
                      y.data() + b * shape.m * shape.n);
  }
  return y;
}

// Of aclnnMm and aclnnMatmul: types, cubeMathType, and that k agrees.
void check_dense(const Plan& plan, const Tensor& a, const Tensor& b, const Tensor& out,
                 int8_t cube_math_type) {
  plan.require_type(a, "self", kFloats);
  plan.require_type(b, "mat2", {a.dtype});
  plan.require_type(out, "out", {a.dtype});
  const bool exact = cube_math_type == 0 || (cube_math_type == 1 && a.dtype != ACL_FLOAT);
  plan.require(exact, "the stand-in keeps types: cubeMathType " + std::to_string(cube_math_type) +
                          " with " + name_of(a.dtype));
  plan.require(a.dims.back() == b.dims[b.dims.size() - 2],
               "self " + text_of(a.dims) + " times mat2 " + text_of(b.dims));
  plan.require_contiguous(out, "out");
}

void compute_dense(const Operands& t) {
  Dims batch(t.out[0].dims.begin(), t.out[0].dims.end() - 2);
  const auto with_batch = [&](const View& view) {
    Dims dims = batch;
    dims.insert(dims.end(), view.dims.end() - 2, view.dims.end());
    return broadcast_to(view, dims);
  };
  const View a = with_batch(t.in[0]);
  const View b = transposed(with_batch(t.in[1]));
  const int64_t batches = count_of(batch);
  const size_t last = a.dims.size() - 1;
  const Batched shape{batches, batches, a.dims[last - 1], b.dims[last - 1], a.dims[last]};
  write(t.out[0], multiply(shape, read(a), read(b)));
}

}  // namespace

aclnnStatus aclnnQuantMatmulV5GetWorkspaceSize(
    const aclTensor* x1, const aclTensor* x2, const aclTensor* x1_scale, const aclTensor* x2_scale,
    const aclTensor* y_scale, const aclTensor* x1_offset, const aclTensor* x2_offset,
    const aclTensor* y_offset, const aclTensor* bias, bool transpose_x1, bool transpose_x2,
    int64_t group_size, aclTensor* out, uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnQuantMatmulV5, [&](Plan& plan) {
    const Tensor& a = plan.input(x1, "x1");
    const Tensor& b = plan.input(x2, "x2");
    // Not null in the MX form.
    const Tensor& a_scale = plan.input(x1_scale, "x1Scale");
    const Tensor& b_scale = plan.input(x2_scale, "x2Scale");
    for (int i = 0; i < 4; ++i) plan.optional_input(nullptr, "yScale or an offset");
    const Tensor* term = plan.optional_input(bias, "bias");
    const Tensor& result = plan.output(out, "out");
    plan.require(plan.is_a5(), "FLOAT8_E4M3FN is no type of x1 on this device");
    plan.require_absent({y_scale, x1_offset, x2_offset, y_offset}, "yScale or offsets");
    plan.require(group_size == kMxGroup, "groupSize is " + std::to_string(group_size) +
                                             ", expected " + std::to_string(kMxGroup) +
                                             " for groups of 1, 1, 32");
    const MxShape left = check_mx(plan, a, a_scale, !transpose_x1, "x1");
    const MxShape right = check_mx(plan, b, b_scale, transpose_x2, "x2");
    plan.require(left.k == right.k,
                 "x1 has k " + std::to_string(left.k) + " and x2 has k " + std::to_string(right.k));
    plan.require(right.batch.empty() || right.batch == left.batch,
                 "x2 " + text_of(b.dims) + " does not go with x1 " + text_of(a.dims));
    if (term != nullptr) {
      plan.require_type(*term, "bias", {ACL_FLOAT});
      plan.require_dims(*term, "bias", {right.rows});
      plan.require_contiguous(*term, "bias");
    }
    plan.require_type(result, "out", kFloats);
    Dims dims = left.batch;
    dims.push_back(left.rows);
    dims.push_back(right.rows);
    plan.require_dims(result, "out", dims);
    plan.require_contiguous(result, "out");
    const Batched shape{count_of(left.batch), count_of(right.batch), left.rows, right.rows, left.k};
    plan.workspace(8192);
    plan.compute([shape, transpose_x1, transpose_x2](const Operands& t) {
      Values y = multiply(shape, decode(t.in[0], t.in[2], !transpose_x1),
                          decode(t.in[1], t.in[3], transpose_x2));
      if (t.in[8].data != nullptr) {
        const Values terms = read(t.in[8]);
        for (size_t i = 0; i < y.size(); ++i) y[i] += terms[i % terms.size()];
      }
      write(t.out[0], y);
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnQuantMatmulV5)

aclnnStatus aclnnMmGetWorkspaceSize(const aclTensor* self, const aclTensor* mat2, aclTensor* out,
                                    int8_t cube_math_type, uint64_t* workspace_size,
                                    aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnMm, [&](Plan& plan) {
    const Tensor& a = plan.input(self, "self");
    const Tensor& b = plan.input(mat2, "mat2");
    const Tensor& result = plan.output(out, "out");
    plan.require_rank(a, "self", 2, 2);
    plan.require_rank(b, "mat2", 2, 2);
    check_dense(plan, a, b, result, cube_math_type);
    plan.require_dims(result, "out", {a.dims[0], b.dims[1]});
    plan.workspace(4096);
    plan.compute(compute_dense);
  });
}
STAND_IN_SECOND_PHASE(aclnnMm)

// Leading dimensions broadcast.
aclnnStatus aclnnMatmulGetWorkspaceSize(const aclTensor* self, const aclTensor* mat2,
                                        aclTensor* out, int8_t cube_math_type,
                                        uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnMatmul, [&](Plan& plan) {
    const Tensor& a = plan.input(self, "self");
    const Tensor& b = plan.input(mat2, "mat2");
    const Tensor& result = plan.output(out, "out");
    plan.require_rank(a, "self", 2, 6);  // the document has vectors too
    plan.require_rank(b, "mat2", 2, 6);
    check_dense(plan, a, b, result, cube_math_type);
    Dims dims;
    plan.require(broadcast(Dims(a.dims.begin(), a.dims.end() - 2),
                           Dims(b.dims.begin(), b.dims.end() - 2), dims),
                 "self " + text_of(a.dims) + " and mat2 " + text_of(b.dims) + " do not broadcast");
    dims.push_back(a.dims[a.dims.size() - 2]);
    dims.push_back(b.dims.back());
    plan.require_dims(result, "out", dims);
    plan.workspace(4096);
    plan.compute(compute_dense);
  });
}
STAND_IN_SECOND_PHASE(aclnnMatmul)

}  // namespace ascend_stand_in
