#include "support/ascend_stand_in/tensor.h"

#include <cstring>

#include "formats/e4m3.h"
#include "formats/e8m0.h"
#include "formats/half.h"

namespace ascend_stand_in {
namespace {

using mxvideo::formats::ElementRounding;

// Calls visit(index, offset in elements) for each element, row-major.
template <class Visit>
void for_each_element(const Dims& dims, const Dims& strides, Visit visit) {
  const int64_t count = count_of(dims);
  Dims at(dims.size(), 0);
  int64_t offset = 0;
  for (int64_t i = 0; i < count; ++i) {
    visit(i, offset);
    for (size_t d = dims.size(); d-- > 0;) {
      offset += strides[d];
      if (++at[d] < dims[d]) break;
      offset -= strides[d] * dims[d];
      at[d] = 0;
    }
  }
}

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <class T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

float load_element(aclDataType dtype, const std::byte* from) {
  switch (dtype) {
    case ACL_FLOAT:
      return load<float>(from);
    case ACL_FLOAT16:
      return mxvideo::formats::decode_fp16(load<uint16_t>(from));
    case ACL_BF16:
      return mxvideo::formats::decode_bf16(load<uint16_t>(from));
    case ACL_FLOAT8_E4M3FN:
      return mxvideo::formats::decode_e4m3(load<uint8_t>(from));
    case ACL_FLOAT8_E8M0:
      return mxvideo::formats::decode_e8m0(load<uint8_t>(from));
    default:
      return load<uint8_t>(from);  // BOOL, UINT8
  }
}

void store_element(aclDataType dtype, std::byte* to, float value) {
  switch (dtype) {
    case ACL_FLOAT:
      return store(to, value);
    case ACL_FLOAT16:
      return store(to, mxvideo::formats::encode_fp16(value));
    case ACL_BF16:
      return store(to, mxvideo::formats::encode_bf16(value));
    case ACL_FLOAT8_E4M3FN:
      return store(to, mxvideo::formats::encode_e4m3(value, ElementRounding::kNearestEven));
    default:
      return store(to, static_cast<uint8_t>(value));  // BOOL, UINT8
  }
}

}  // namespace

int64_t Tensor::count() const { return count_of(dims); }

bool Tensor::contiguous() const {
  int64_t expected = 1;
  for (size_t d = dims.size(); d-- > 0;) {
    if (dims[d] != 1 && strides[d] != expected) return false;
    expected *= dims[d];
  }
  return true;
}

int64_t count_of(const Dims& dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  return count;
}

Dims contiguous_strides(const Dims& dims) {
  Dims strides(dims.size());
  int64_t stride = 1;
  for (size_t d = dims.size(); d-- > 0;) {
    strides[d] = stride;
    stride *= dims[d];
  }
  return strides;
}

int64_t reach_of(const Dims& dims, const Dims& strides) {
  if (count_of(dims) == 0) return 0;
  int64_t last = 0;
  for (size_t d = 0; d < dims.size(); ++d) last += (dims[d] - 1) * strides[d];
  return last + 1;
}

int64_t bytes_of(aclDataType dtype) {
  switch (dtype) {
    case ACL_INT64:
    case ACL_DOUBLE:
      return 8;
    case ACL_FLOAT:
    case ACL_INT32:
      return 4;
    case ACL_FLOAT16:
    case ACL_BF16:
      return 2;
    case ACL_INT8:
    case ACL_UINT8:
    case ACL_BOOL:
    case ACL_FLOAT8_E5M2:
    case ACL_FLOAT8_E4M3FN:
    case ACL_FLOAT8_E8M0:
      return 1;
    default:
      return 0;
  }
}

std::string name_of(aclDataType dtype) {
  switch (dtype) {
    case ACL_FLOAT:
      return "FLOAT";
    case ACL_FLOAT16:
      return "FLOAT16";
    case ACL_BF16:
      return "BFLOAT16";
    case ACL_FLOAT8_E4M3FN:
      return "FLOAT8_E4M3FN";
    case ACL_FLOAT8_E8M0:
      return "FLOAT8_E8M0";
    case ACL_BOOL:
      return "BOOL";
    case ACL_INT32:
      return "INT32";
    case ACL_INT64:
      return "INT64";
    default:
      return "type " + std::to_string(dtype);
  }
}

std::string text_of(const Dims& dims) {
  std::string text = "[";
  for (const int64_t dim : dims) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dim);
  }
  return text + "]";
}

View broadcast_to(const View& view, const Dims& dims) {
  View out{.data = view.data, .dims = dims, .strides = Dims(dims.size(), 0), .dtype = view.dtype};
  const size_t missing = dims.size() - view.dims.size();
  for (size_t d = 0; d < view.dims.size(); ++d) {
    if (view.dims[d] != 1) out.strides[missing + d] = view.strides[d];
  }
  return out;
}

std::vector<float> read(const View& view) {
  std::vector<float> values(static_cast<size_t>(count_of(view.dims)));
  const int64_t bytes = bytes_of(view.dtype);
  for_each_element(view.dims, view.strides, [&](int64_t i, int64_t offset) {
    values[static_cast<size_t>(i)] = load_element(view.dtype, view.data + offset * bytes);
  });
  return values;
}

std::vector<int64_t> read_integers(const View& view) {
  std::vector<int64_t> values(static_cast<size_t>(count_of(view.dims)));
  const int64_t bytes = bytes_of(view.dtype);
  for_each_element(view.dims, view.strides, [&](int64_t i, int64_t offset) {
    const std::byte* from = view.data + offset * bytes;
    values[static_cast<size_t>(i)] =
        view.dtype == ACL_INT32 ? load<int32_t>(from) : load<int64_t>(from);
  });
  return values;
}

void write(const View& view, std::span<const float> values) {
  const int64_t bytes = bytes_of(view.dtype);
  for_each_element(view.dims, view.strides, [&](int64_t i, int64_t offset) {
    store_element(view.dtype, view.data + offset * bytes, values[static_cast<size_t>(i)]);
  });
}

void copy_elements(const View& to, const View& from) {
  const auto bytes = static_cast<size_t>(bytes_of(from.dtype));
  std::vector<std::byte> elements(static_cast<size_t>(count_of(from.dims)) * bytes);
  for_each_element(from.dims, from.strides, [&](int64_t i, int64_t offset) {
    std::memcpy(elements.data() + static_cast<size_t>(i) * bytes,
                from.data + static_cast<size_t>(offset) * bytes, bytes);
  });
  for_each_element(to.dims, to.strides, [&](int64_t i, int64_t offset) {
    std::memcpy(to.data + static_cast<size_t>(offset) * bytes,
                elements.data() + static_cast<size_t>(i) * bytes, bytes);
  });
}

std::vector<uint8_t> read_bytes(const View& view) {
  std::vector<uint8_t> values(static_cast<size_t>(count_of(view.dims)));
  for_each_element(view.dims, view.strides, [&](int64_t i, int64_t offset) {
    values[static_cast<size_t>(i)] = load<uint8_t>(view.data + offset);
  });
  return values;
}

void write_bytes(const View& view, std::span<const uint8_t> values) {
  for_each_element(view.dims, view.strides, [&](int64_t i, int64_t offset) {
    store(view.data + offset, values[static_cast<size_t>(i)]);
  });
}

float rounded_to(aclDataType dtype, double value) {
  std::byte element[4];
  store_element(dtype, element, static_cast<float>(value));
  return load_element(dtype, element);
}

}  // namespace ascend_stand_in
