#include "checkpoint/safetensors_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <thread>

#include "base/file/atomic_file.h"
#include "checkpoint/safetensors.h"
#include "support/expect_error.h"
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

const std::vector<TensorSpec> kTwoTensors = {{"b", DType::kU8, {5}}, {"a", DType::kI16, {2, 2}}};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(SafetensorsWriter, TakesPiecesInAnyOrder) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "x";
  SafetensorsWriter writer(path, kTwoTensors, {{"k", "v"}});
  EXPECT_EQ(writer.tensors().front().name, "a");
  writer.write("b", 3, bytes_of("45"));
  writer.write("a", 0, bytes_of("abcdefgh"));
  writer.write("b", 0, bytes_of("123"));
  EXPECT_FALSE(fs::exists(path));
  writer.commit();
  EXPECT_EQ(static_cast<int64_t>(fs::file_size(path)), writer.file_bytes());
  EXPECT_EQ(safetensors_file_bytes(kTwoTensors, {{"k", "v"}}), writer.file_bytes());
  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata().at("k"), "v");
  EXPECT_EQ(std::memcmp(file.view(find(file, "a")).data, "abcdefgh", 8), 0);
  EXPECT_EQ(std::memcmp(file.view(find(file, "b")).data, "12345", 5), 0);
}

TEST(SafetensorsWriter, TakesPiecesFromSeveralThreads) {
  constexpr int64_t kPiece = 1000;
  constexpr int64_t kPieces = 64;
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "x";
  SafetensorsWriter writer(path, {{"a", DType::kU8, {kPieces * kPiece}}});
  const auto write_every_second = [&](int64_t first) {
    for (int64_t piece = first; piece < kPieces; piece += 2) {
      const std::vector<std::byte> bytes(kPiece, static_cast<std::byte>(piece));
      writer.write("a", piece * kPiece, bytes);
    }
  };
  std::thread other([&] { write_every_second(0); });
  write_every_second(1);
  other.join();
  writer.commit();
  const SafetensorsFile file(path);
  const std::byte* data = file.view(find(file, "a")).data;
  for (int64_t i = 0; i < kPieces * kPiece; ++i) {
    ASSERT_EQ(data[i], static_cast<std::byte>(i / kPiece)) << i;
  }
}

TEST(SafetensorsWriter, CommitsNothingUnlessEveryByteWasWritten) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "x";
  {
    SafetensorsWriter writer(path, kTwoTensors);
    writer.write("a", 0, bytes_of("abcdefgh"));
    writer.write("b", 0, bytes_of("1234"));
    expect_error_with(Code::kInternal, "tensor 'b': expected 5 bytes, got 4",
                      [&] { writer.commit(); });
    writer.write("b", 0, bytes_of("12"));
    expect_error_with(Code::kInternal, "tensor 'b': expected 5 bytes, got 6",
                      [&] { writer.commit(); });
  }
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

TEST(SafetensorsWriter, RefusesBytesThatBelongToNoTensor) {
  const TemporaryDirectory directory;
  SafetensorsWriter writer(directory.path() / "x", kTwoTensors);
  const auto expect_refused = [&](const std::string& name, int64_t offset, std::string_view text) {
    expect_error_with(Code::kInternal, name, [&] { writer.write(name, offset, bytes_of(text)); });
  };
  expect_refused("c", 0, "1");
  expect_refused("b", 5, "1");
  expect_refused("b", -1, "1");
  expect_refused("b", 0, "123456");
  expect_refused("b", INT64_MAX, "1");
}

TEST(SafetensorsWriter, RefusesSizesThatLeaveAnInteger) {
  const TemporaryDirectory directory;
  const int64_t huge = int64_t{1} << 61;
  expect_error_with(Code::kInvalidArgument, "bytes of a tensor", [&] {
    safetensors_file_bytes({{"a", DType::kF64, {huge}}});
  });
  expect_error_with(Code::kInvalidArgument, "safetensors data", [&] {
    safetensors_file_bytes({{"a", DType::kF16, {huge}}, {"b", DType::kF16, {huge}}});
  });
  expect_error_with(Code::kIo, "cannot reserve", [&] {
    SafetensorsWriter(directory.path() / "x", {{"a", DType::kU8, {huge}}});
  });
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

TEST(SafetensorsWriter, ReportsADirectoryItCannotWriteTo) {
  const TemporaryDirectory directory;
  expect_error_with(Code::kIo, "cannot create", [&] {
    write_safetensors(directory.path() / "absent" / "x", std::span<const NamedTensor>());
  });
}

// Whatever the order of the writes: what is not hashed on the way is read back.
TEST(SafetensorsWriterTest, HashesTheFileThatItWrites) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "x.safetensors";
  const std::vector<std::byte> bytes(3000, std::byte{7});
  const auto span = std::span(bytes);
  for (const std::array<int, 3> order :
       {std::array{0, 1, 2}, std::array{2, 0, 1}, std::array{1, 2, 0}}) {
    SafetensorsWriter writer(
        path, {{"a", DType::kU8, {3000}}, {"b", DType::kU8, {3000}}, {"c", DType::kU8, {3000}}});
    writer.enable_hash();
    for (const int tensor : order) {
      const std::string name(1, static_cast<char>('a' + tensor));
      writer.write(name, 0, span.first(1000));
      writer.write(name, 1000, span.subspan(1000));
    }
    const std::string hash = writer.commit();
    EXPECT_EQ(hash, sha256_file(path));
  }
}

}  // namespace
}  // namespace mxvideo::checkpoint
