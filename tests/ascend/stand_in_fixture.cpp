#include "ascend/stand_in_fixture.h"

#include <cstring>
#include <memory>

#include "formats/half.h"

namespace mxvideo::test {
namespace {

size_t element_bytes(aclDataType dtype) {
  switch (dtype) {
    case ACL_INT64:
      return 8;
    case ACL_FLOAT:
    case ACL_INT32:
      return 4;
    case ACL_FLOAT16:
    case ACL_BF16:
      return 2;
    default:
      return 1;
  }
}

Bytes encode(const Floats& values, aclDataType dtype) {
  Bytes out(values.size() * element_bytes(dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    uint8_t* to = out.data() + i * element_bytes(dtype);
    if (dtype == ACL_FLOAT) {
      std::memcpy(to, &values[i], 4);
    } else if (dtype == ACL_INT64) {
      const auto integer = static_cast<int64_t>(values[i]);
      std::memcpy(to, &integer, 8);
    } else if (dtype == ACL_BF16 || dtype == ACL_FLOAT16) {
      const uint16_t half =
          dtype == ACL_BF16 ? formats::encode_bf16(values[i]) : formats::encode_fp16(values[i]);
      std::memcpy(to, &half, 2);
    } else {
      *to = static_cast<uint8_t>(values[i]);
    }
  }
  return out;
}

Floats decode(const Bytes& bytes, aclDataType dtype) {
  Floats out(bytes.size() / element_bytes(dtype));
  for (size_t i = 0; i < out.size(); ++i) {
    const uint8_t* from = bytes.data() + i * element_bytes(dtype);
    if (dtype == ACL_FLOAT) {
      std::memcpy(&out[i], from, 4);
    } else if (dtype == ACL_BF16 || dtype == ACL_FLOAT16) {
      uint16_t half;
      std::memcpy(&half, from, 2);
      out[i] = dtype == ACL_BF16 ? formats::decode_bf16(half) : formats::decode_fp16(half);
    } else {
      out[i] = *from;
    }
  }
  return out;
}

}  // namespace

void StandInTest::SetUp() {
  standin_reset();
  ASSERT_EQ(aclInit(nullptr), 0);
  ASSERT_EQ(aclrtSetDevice(0), 0);
  ASSERT_EQ(aclrtCreateStream(&stream_), 0);
}

void StandInTest::TearDown() {
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 0);
  for (aclTensor* tensor : views_) EXPECT_EQ(aclDestroyTensor(tensor), 0);
  for (const auto& array : arrays_) {
    EXPECT_EQ(aclDestroyTensor(array->tensor), 0);
    EXPECT_EQ(aclrtFree(array->data), 0);
  }
  for (aclScalar* scalar : scalars_) EXPECT_EQ(aclDestroyScalar(scalar), 0);
  for (aclIntArray* array : int_arrays_) EXPECT_EQ(aclDestroyIntArray(array), 0);
  EXPECT_EQ(aclrtDestroyStream(stream_), 0);
  EXPECT_EQ(aclrtResetDevice(0), 0);
  EXPECT_EQ(aclFinalize(), 0);
  EXPECT_STREQ(standin_report(), "");
  StandinCounters c;
  standin_counters(&c);
  EXPECT_EQ(c.tensors + c.scalars + c.int_arrays + c.tensor_lists + c.executors, 0u);
  EXPECT_EQ(c.streams + c.events + c.device_blocks + c.device_bytes + c.host_blocks, 0u);
}

Array& StandInTest::allocate(const Dims& dims, aclDataType dtype, aclFormat format) {
  arrays_.push_back(std::make_unique<Array>(Array{dims, dtype, format}));
  Array& made = *arrays_.back();
  made.bytes = static_cast<size_t>(count_of(dims)) * element_bytes(dtype);
  EXPECT_EQ(aclrtMalloc(&made.data, made.bytes, ACL_MEM_MALLOC_HUGE_FIRST), 0);
  made.tensor = aclCreateTensor(dims.data(), dims.size(), dtype, nullptr, 0, format, dims.data(),
                                dims.size(), made.data);
  EXPECT_NE(made.tensor, nullptr) << aclGetRecentErrMsg();
  return made;
}

Array& StandInTest::array(const Dims& dims, aclDataType dtype, const Floats& values,
                          aclFormat format) {
  Array& made = allocate(dims, dtype, format);
  const Bytes data = encode(values, dtype);
  EXPECT_EQ(data.size(), made.bytes);
  EXPECT_EQ(aclrtMemcpy(made.data, made.bytes, data.data(), data.size(), ACL_MEMCPY_HOST_TO_DEVICE),
            0);
  return made;
}

Array& StandInTest::raw(const Dims& dims, aclDataType dtype, const Bytes& bytes) {
  Array& made = allocate(dims, dtype, ACL_FORMAT_ND);
  EXPECT_EQ(bytes.size(), made.bytes);
  EXPECT_EQ(
      aclrtMemcpy(made.data, made.bytes, bytes.data(), bytes.size(), ACL_MEMCPY_HOST_TO_DEVICE), 0);
  return made;
}

Array& StandInTest::fresh(const Dims& dims, aclDataType dtype, aclFormat format) {
  return allocate(dims, dtype, format);
}

aclTensor* StandInTest::view(const Array& of, const Dims& dims, const Dims& strides,
                             int64_t offset) {
  views_.push_back(aclCreateTensor(dims.data(), dims.size(), of.dtype, strides.data(), offset,
                                   of.format, of.dims.data(), of.dims.size(), of.data));
  EXPECT_NE(views_.back(), nullptr) << aclGetRecentErrMsg();
  return views_.back();
}

aclScalar* StandInTest::scalar(float value) {
  scalars_.push_back(aclCreateScalar(&value, ACL_FLOAT));
  return scalars_.back();
}

aclIntArray* StandInTest::integers(const Dims& values) {
  int_arrays_.push_back(aclCreateIntArray(values.data(), values.size()));
  return int_arrays_.back();
}

Bytes StandInTest::bytes(const Array& from) {
  Bytes data(from.bytes);
  EXPECT_EQ(
      aclrtMemcpy(data.data(), data.size(), from.data, data.size(), ACL_MEMCPY_DEVICE_TO_HOST), 0);
  return data;
}

Floats StandInTest::values(const Array& from) { return decode(bytes(from), from.dtype); }

void StandInTest::launch(aclnnStatus (*second)(void*, uint64_t, aclOpExecutor*, aclrtStream),
                         uint64_t size, aclOpExecutor* executor) {
  void* workspace = nullptr;
  if (size > 0) {
    ASSERT_EQ(aclrtMalloc(&workspace, size, ACL_MEM_MALLOC_HUGE_FIRST), 0);
  }
  EXPECT_EQ(second(workspace, size, executor, stream_), 0) << aclGetRecentErrMsg();
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 0);
  if (size > 0) {
    EXPECT_EQ(aclrtFree(workspace), 0);
  }
}

std::string StandInTest::take_report() {
  std::string report = standin_report();
  standin_clear_report();
  return report;
}

Floats pattern(int64_t count, int step) {
  Floats values;
  for (int64_t i = 0; i < count; ++i) {
    values.push_back(static_cast<float>((i * step + i / 5) % 65 - 32) / 32);
  }
  return values;
}

int64_t count_of(const Dims& dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  return count;
}

float bf16(double value) {
  return formats::decode_bf16(formats::encode_bf16(static_cast<float>(value)));
}

}  // namespace mxvideo::test
