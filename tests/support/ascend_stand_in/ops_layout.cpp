// aclnnCast, InplaceCopy, IndexSelect, UpsampleNearestExact2d, All: elements move, and change type
// where the output has another (nearest, ties to even).
#include <algorithm>
#include <cmath>

#include "support/ascend_stand_in/executor.h"

namespace ascend_stand_in {
namespace {

using Values = std::vector<float>;

constexpr auto kCast = {ACL_FLOAT, ACL_FLOAT16, ACL_BF16, ACL_FLOAT8_E4M3FN, ACL_BOOL, ACL_UINT8};

int64_t axis_of(const Plan& plan, int64_t dim, int64_t rank) {
  plan.require(dim >= -rank && dim < rank,
               "dim " + std::to_string(dim) + " of " + std::to_string(rank) + " dimensions");
  return dim < 0 ? dim + rank : dim;
}

void convert(const View& to, const View& from) {
  if (to.dtype == from.dtype) return copy_elements(to, from);
  write(to, read(from));
}

// The slice of `view` at index `at` of axis `axis`.
View slice(const View& view, int64_t axis, int64_t at) {
  View out = view;
  const auto d = static_cast<size_t>(axis);
  out.data += at * view.strides[d] * bytes_of(view.dtype);
  out.dims[d] = 1;
  return out;
}

// Writes nothing for an index that is out of range, which is a misuse.
void select(const Operands& t, int64_t axis) {
  const std::vector<int64_t> indices = read_integers(t.in[1]);
  const int64_t size = t.in[0].dims[static_cast<size_t>(axis)];
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0 || indices[i] >= size) {
      const std::lock_guard lock(world().mutex);
      world().misuse("aclnnIndexSelect: index " + std::to_string(indices[i]) + " of " +
                     std::to_string(size));
      continue;
    }
    copy_elements(slice(t.out[0], axis, static_cast<int64_t>(i)), slice(t.in[0], axis, indices[i]));
  }
}

// Source of each output position along one axis: min(floor((i + 0.5) / scale), size - 1).
std::vector<int64_t> nearest(int64_t size, int64_t wanted, double scale) {
  const double factor = scale > 0 ? scale : static_cast<double>(wanted) / static_cast<double>(size);
  std::vector<int64_t> from(static_cast<size_t>(wanted));
  for (int64_t i = 0; i < wanted; ++i) {
    const auto at = static_cast<int64_t>(std::floor((static_cast<double>(i) + 0.5) / factor));
    from[static_cast<size_t>(i)] = std::min(at, size - 1);
  }
  return from;
}

// Whether all elements along the reduced axes are not zero; `reduced` has a flag per axis.
Values all_of(const Values& values, const Dims& dims, const std::vector<bool>& reduced) {
  Dims kept = dims;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (reduced[d]) kept[d] = 1;
  }
  const Dims strides = contiguous_strides(kept);
  Values out(static_cast<size_t>(count_of(kept)), 1.0f);
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i);
    int64_t at = 0;
    for (size_t d = dims.size(); d-- > 0;) {
      if (!reduced[d]) at += rest % dims[d] * strides[d];
      rest /= dims[d];
    }
    if (values[i] == 0) out[static_cast<size_t>(at)] = 0;
  }
  return out;
}

}  // namespace

aclnnStatus aclnnCastGetWorkspaceSize(const aclTensor* self, const aclDataType dtype,
                                      aclTensor* out, uint64_t* workspace_size,
                                      aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnCast, [&](Plan& plan) {
    const Tensor& from = plan.input(self, "self");
    const Tensor& to = plan.output(out, "out");
    plan.require_type(from, "self", kCast);
    plan.require_type(to, "out", kCast);
    plan.require(dtype == to.dtype,
                 "dtype is " + name_of(dtype) + " and out is " + name_of(to.dtype));
    plan.require_dims(to, "out", from.dims);
    plan.compute([](const Operands& t) { convert(t.out[0], t.in[0]); });
  });
}
STAND_IN_SECOND_PHASE(aclnnCast)

aclnnStatus aclnnInplaceCopyGetWorkspaceSize(aclTensor* self_ref, const aclTensor* src,
                                             uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnInplaceCopy, [&](Plan& plan) {
    const Tensor& from = plan.input(src, "src");
    const Tensor& to = plan.output(self_ref, "selfRef");
    // The document leaves out the one-byte floats.
    plan.require_type(
        from, "src",
        {ACL_FLOAT, ACL_FLOAT16, ACL_BF16, ACL_INT8, ACL_UINT8, ACL_INT32, ACL_INT64, ACL_BOOL});
    plan.require_rank(to, "selfRef", 1, 8);
    plan.require_rank(from, "src", 1, 8);
    const bool floats =
        from.dtype == ACL_FLOAT || from.dtype == ACL_FLOAT16 || from.dtype == ACL_BF16;
    if (floats) {
      plan.require_type(to, "selfRef", {ACL_FLOAT, ACL_FLOAT16, ACL_BF16});
    } else {
      plan.require_type(to, "selfRef", {from.dtype});
    }
    Dims dims;
    plan.require(
        broadcast(from.dims, to.dims, dims) && dims == to.dims,
        "src " + text_of(from.dims) + " does not broadcast to selfRef " + text_of(to.dims));
    plan.compute(
        [](const Operands& t) { convert(t.out[0], broadcast_to(t.in[0], t.out[0].dims)); });
  });
}
STAND_IN_SECOND_PHASE(aclnnInplaceCopy)

aclnnStatus aclnnIndexSelectGetWorkspaceSize(const aclTensor* self, int64_t dim,
                                             const aclTensor* index, aclTensor* out,
                                             uint64_t* workspace_size, aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnIndexSelect, [&](Plan& plan) {
    const Tensor& from = plan.input(self, "self");
    const Tensor& indices = plan.input(index, "index");
    const Tensor& to = plan.output(out, "out");
    plan.require_type(
        from, "self",
        {ACL_FLOAT, ACL_FLOAT16, ACL_BF16, ACL_INT8, ACL_UINT8, ACL_INT32, ACL_INT64, ACL_BOOL});
    plan.require_type(indices, "index", {ACL_INT64, ACL_INT32});
    plan.require_rank(indices, "index", 0, 1);
    plan.require_type(to, "out", {from.dtype});
    plan.require_rank(from, "self", 1, 8);
    const int64_t axis = axis_of(plan, dim, from.rank());
    Dims dims = from.dims;
    dims[static_cast<size_t>(axis)] = indices.count();
    plan.require_dims(to, "out", dims);
    plan.compute([axis](const Operands& t) { select(t, axis); });
  });
}
STAND_IN_SECOND_PHASE(aclnnIndexSelect)

aclnnStatus aclnnUpsampleNearestExact2dGetWorkspaceSize(const aclTensor* self,
                                                        const aclIntArray* output_size,
                                                        double scales_h, double scales_w,
                                                        aclTensor* out, uint64_t* workspace_size,
                                                        aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnUpsampleNearestExact2d, [&](Plan& plan) {
    const Tensor& from = plan.input(self, "self");
    const Dims size = plan.integers(output_size, "outputSize");
    const Tensor& to = plan.output(out, "out");
    plan.require_type(from, "self", {ACL_FLOAT, ACL_FLOAT16, ACL_BF16});
    plan.require_type(to, "out", {from.dtype});
    plan.require_rank(from, "self", 4, 4);
    for (const Tensor* tensor : {&from, &to}) {
      plan.require(
          tensor->format == ACL_FORMAT_NCHW || tensor->format == ACL_FORMAT_ND,
          "the stand-in computes NCHW and ND, not format " + std::to_string(tensor->format));
    }
    plan.require(size.size() == 2, "outputSize has " + std::to_string(size.size()) + " values");
    plan.require_dims(to, "out", {from.dims[0], from.dims[1], size[0], size[1]});
    plan.require(scales_h >= 0 && scales_w >= 0, "a scale is negative");
    plan.compute([scales_h, scales_w](const Operands& t) {
      const Dims& dims = t.out[0].dims;
      const Values values = read(t.in[0]);
      const int64_t height = t.in[0].dims[2];
      const int64_t width = t.in[0].dims[3];
      const auto rows = nearest(height, dims[2], scales_h);
      const auto columns = nearest(width, dims[3], scales_w);
      Values result;
      for (int64_t plane = 0; plane < dims[0] * dims[1]; ++plane) {
        for (const int64_t row : rows) {
          for (const int64_t column : columns) {
            result.push_back(values[static_cast<size_t>((plane * height + row) * width + column)]);
          }
        }
      }
      write(t.out[0], result);
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnUpsampleNearestExact2d)

// `dim` empty: all axes.
aclnnStatus aclnnAllGetWorkspaceSize(const aclTensor* self, const aclIntArray* dim, bool keepdim,
                                     aclTensor* out, uint64_t* workspace_size,
                                     aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnAll, [&](Plan& plan) {
    const Tensor& from = plan.input(self, "self");
    const Dims axes = plan.integers(dim, "dim");
    const Tensor& to = plan.output(out, "out");
    plan.require_type(from, "self", {ACL_BOOL, ACL_UINT8, ACL_FLOAT, ACL_FLOAT16, ACL_BF16});
    plan.require_type(to, "out", {ACL_BOOL, ACL_UINT8});
    std::vector<bool> reduced(from.dims.size(), axes.empty());
    for (const int64_t axis : axes) {
      reduced[static_cast<size_t>(axis_of(plan, axis, from.rank()))] = true;
    }
    Dims dims;
    for (size_t d = 0; d < from.dims.size(); ++d) {
      if (!reduced[d]) {
        dims.push_back(from.dims[d]);
      } else if (keepdim) {
        dims.push_back(1);
      }
    }
    plan.require_dims(to, "out", dims);
    plan.compute([reduced](const Operands& t) {
      write(t.out[0], all_of(read(t.in[0]), t.in[0].dims, reduced));
    });
  });
}
STAND_IN_SECOND_PHASE(aclnnAll)

}  // namespace ascend_stand_in
