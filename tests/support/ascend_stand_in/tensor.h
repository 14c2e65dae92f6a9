// A tensor as the operators see it: a description that its handle stands for, and, while work
// runs, a view of bytes. Elements are read and written as fp32, row-major over the view's dims, and
// rounded to nearest, ties to even, where a type is narrower. No state; nothing here throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "support/ascend_stand_in/acl_api.h"

namespace ascend_stand_in {

using Dims = std::vector<int64_t>;

struct Tensor {
  Dims dims;
  Dims strides;  // in elements
  int64_t offset = 0;
  aclDataType dtype = ACL_DT_UNDEFINED;
  aclFormat format = ACL_FORMAT_ND;
  Dims storage;
  uintptr_t address = 0;
  bool alive = true;

  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  int64_t count() const;
  bool contiguous() const;
};

struct View {
  std::byte* data = nullptr;  // the first element; null: the tensor was not given
  Dims dims;
  Dims strides;
  aclDataType dtype = ACL_DT_UNDEFINED;
};

int64_t count_of(const Dims& dims);
Dims contiguous_strides(const Dims& dims);
// Elements from the first to behind the last that dims and strides reach; 0 when there is none.
int64_t reach_of(const Dims& dims, const Dims& strides);
// Bytes of an element; 0 for types that the stand-in does not know.
int64_t bytes_of(aclDataType dtype);
std::string name_of(aclDataType dtype);
std::string text_of(const Dims& dims);  // "[2, 3]"

// The view's elements, repeated to `dims` where the view has 1 or fewer dimensions.
View broadcast_to(const View& view, const Dims& dims);

std::vector<float> read(const View& view);
std::vector<int64_t> read_integers(const View& view);  // INT32, INT64
void write(const View& view, std::span<const float> values);
// The elements' bytes between views of the same dims and type.
void copy_elements(const View& to, const View& from);
std::vector<uint8_t> read_bytes(const View& view);  // types of one byte
void write_bytes(const View& view, std::span<const uint8_t> values);

// `value` as an element of that type holds it.
float rounded_to(aclDataType dtype, double value);

}  // namespace ascend_stand_in
