#include "checkpoint/safetensors_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/atomic_file.h"
#include "checkpoint/checkpoint_test_support.h"
#include "checkpoint/safetensors.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;
using mxvideo::test::TemporaryDirectory;
using test::expect_error_with;

const fs::path kLibraryFile = fs::path(MXVIDEO_GOLDEN_DIR) / "checkpoint/library.safetensors";

const SafetensorsEntry& find(const SafetensorsFile& file, const std::string& name) {
  const auto& entries = file.entries();
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const SafetensorsEntry& e) { return e.name == name; });
  if (found == entries.end()) throw Error(Code::kNotFound, name);
  return *found;
}

template <class T>
T value_at(const SafetensorsFile& file, const std::string& name, size_t index) {
  T value;
  std::memcpy(&value, file.view(find(file, name)).data + index * sizeof(T), sizeof(T));
  return value;
}

TEST(SafetensorsLibrary, FileIsReadWithEveryValueAndName) {
  const SafetensorsFile file(kLibraryFile);
  EXPECT_EQ(file.entries().size(), 16u);
  EXPECT_EQ(file.metadata().at("info"), "made by safetensors, \"quoted\" \\ é");
  EXPECT_EQ(find(file, "f32").shape, (Shape{2, 3}));
  EXPECT_EQ(value_at<float>(file, "f32", 5), 1.25f);
  EXPECT_EQ(find(file, "f16").dtype, DType::kF16);
  EXPECT_EQ(to_f32(file.view(find(file, "f16"))).f32()[2], 65504.0f);
  EXPECT_EQ(value_at<double>(file, "f64", 0), 0.1);
  EXPECT_EQ(value_at<uint8_t>(file, "u8", 4), 4);
  EXPECT_EQ(value_at<int8_t>(file, "i8", 0), -1);
  EXPECT_EQ(value_at<int16_t>(file, "i16", 0), -300);
  EXPECT_EQ(value_at<uint16_t>(file, "u16", 0), 60000);
  EXPECT_EQ(value_at<int32_t>(file, "i32", 0), -70000);
  EXPECT_EQ(value_at<uint32_t>(file, "u32", 0), 4000000000u);
  EXPECT_EQ(value_at<int64_t>(file, "i64", 0), -(int64_t{1} << 40));
  EXPECT_EQ(value_at<uint64_t>(file, "u64", 0), uint64_t{1} << 63);
  EXPECT_EQ(find(file, "bool").dtype, DType::kBool);
  EXPECT_EQ(find(file, "empty").shape, (Shape{0, 4}));
  EXPECT_EQ(find(file, "scalar").shape, Shape{});
  EXPECT_EQ(value_at<float>(file, "scalar", 0), 7.0f);
  EXPECT_EQ(value_at<float>(file, "a \"quoted\" \\ name\t", 0), 1.0f);
  EXPECT_EQ(value_at<float>(file, "größe.重み", 0), 2.0f);
}

TEST(SafetensorsLibrary, FileIsWrittenByteForByteTheSame) {
  const SafetensorsFile file(kLibraryFile);
  std::vector<NamedTensor> tensors;
  for (const SafetensorsEntry& entry : file.entries()) {
    tensors.push_back({entry.name, file.view(entry)});
  }
  std::reverse(tensors.begin(), tensors.end());
  const TemporaryDirectory directory;
  write_safetensors(directory.path() / "x", tensors, file.metadata());
  EXPECT_EQ(read_file(directory.path() / "x", 1 << 20), read_file(kLibraryFile, 1 << 20));
}

TEST(SafetensorsWriter, AlignsEveryTensorToItsElement) {
  const TemporaryDirectory directory;
  const Tensor odd(DType::kF8E4M3, {3});
  const Tensor scale(DType::kF8E8M0, {1});
  const Tensor half(DType::kBF16, {5});
  const Tensor wide = Tensor::zeros({2});
  write_safetensors(directory.path() / "x",
                    std::array{NamedTensor{"a", odd}, NamedTensor{"b", half},
                               NamedTensor{"c", wide}, NamedTensor{"d", scale}});
  const SafetensorsFile file(directory.path() / "x");
  ASSERT_EQ(file.entries().size(), 4u);
  for (const SafetensorsEntry& entry : file.entries()) {
    const auto address = reinterpret_cast<uintptr_t>(file.view(entry).data);
    EXPECT_EQ(address % static_cast<uintptr_t>(dtype_size(entry.dtype)), 0u) << entry.name;
  }
}

TEST(SafetensorsWriter, RefusesWhatTheFormatCannotHold) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "x.safetensors";
  const Tensor value = Tensor::zeros({1});
  const auto expect_refused = [&](std::vector<NamedTensor> tensors, const std::string& fragment,
                                  const std::map<std::string, std::string>& metadata = {}) {
    expect_error_with(Code::kInvalidArgument, fragment,
                      [&] { write_safetensors(path, tensors, metadata); });
    EXPECT_FALSE(fs::exists(path));
  };
  expect_refused({{"a", value}, {"a", value}}, "duplicate key 'a'");
  expect_refused({{"__metadata__", value}}, "__metadata__");
  expect_refused({{"", value}}, "empty name");
  expect_refused({{"\xff", value}}, "invalid UTF-8");
  expect_refused({{std::string(1025, 'a'), value}}, "name of 1025 bytes");
  expect_refused({{"a", value}}, "invalid UTF-8", {{"key", "\xc0\x80"}});
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

TEST(SafetensorsWriter, ReportsADirectoryItCannotWriteTo) {
  const TemporaryDirectory directory;
  expect_error_with(Code::kIo, "cannot create", [&] {
    write_safetensors(directory.path() / "absent" / "x", std::span<const NamedTensor>());
  });
}

}  // namespace
}  // namespace mxvideo::checkpoint
