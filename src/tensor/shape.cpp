#include "tensor/shape.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"

namespace mxvideo {

Shape::Shape(std::initializer_list<int64_t> dims)
    : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const int64_t> dims) {
  if (dims.size() > kMaxRank) {
    throw Error(Code::kInvalidArgument, "tensor rank " + std::to_string(dims.size()) +
                                            " is above " + std::to_string(kMaxRank));
  }
  for (int64_t dim : dims) {
    if (dim < 0) throw Error(Code::kInvalidArgument, "negative dimension " + std::to_string(dim));
    dims_[static_cast<size_t>(rank_++)] = dim;
  }
}

int64_t Shape::count() const {
  int64_t product = 1;
  for (int64_t dim : dims()) product = checked_mul(product, dim, "tensor shape");
  return product;
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string((*this)[axis]);
  }
  return text + "]";
}

bool Shape::operator==(const Shape& other) const {
  return std::ranges::equal(dims(), other.dims());
}

}  // namespace mxvideo
