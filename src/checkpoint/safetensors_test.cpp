#include "checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "base/file/atomic_file.h"
#include "checkpoint/safetensors_writer.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

using mxvideo::test::TemporaryDirectory;
using test::expect_error_with;

// A file of this header text and `data_bytes` zero bytes.
std::string make_file(const std::string& header, size_t data_bytes) {
  std::string file(8, '\0');
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(header.size() >> (8 * i));
  return file + header + std::string(data_bytes, '\0');
}

SafetensorsHeader parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)), "file");
}

// One tensor "a" from its JSON value.
std::string tensor(const std::string& value) { return R"({"a":)" + value + "}"; }

struct BadHeader {
  std::string header;
  size_t data_bytes;
  std::string fragment;
  Code code = Code::kCorruptFile;
};

void expect_all_refused(const std::vector<BadHeader>& cases) {
  for (const BadHeader& bad : cases) {
    expect_error_with(
        bad.code, bad.fragment, [&] { parse(make_file(bad.header, bad.data_bytes)); },
        bad.header.substr(0, 200));
  }
}

TEST(Safetensors, ReadsAHeader) {
  const SafetensorsHeader header =
      parse(make_file(R"({"__metadata__":{"k":"v"},"b":{"dtype":"F8_E8M0","shape":[4],)"
                      R"("data_offsets":[8,12]},"a":{"dtype":"F32","shape":[2,1],)"
                      R"("data_offsets":[0,8]},"z":{"dtype":"I64","shape":[0],)"
                      R"("data_offsets":[8,8]}}  )",
                      12));
  ASSERT_EQ(header.entries.size(), 3u);
  EXPECT_EQ(header.entries[0].name, "a");
  EXPECT_EQ(header.entries[0].shape, (Shape{2, 1}));
  EXPECT_EQ(header.entries[1].name, "z");
  EXPECT_EQ(header.entries[2].dtype, DType::kF8E8M0);
  EXPECT_EQ(header.entries[2].begin, 8u);
  EXPECT_EQ(header.metadata.at("k"), "v");
  EXPECT_EQ(parse(make_file("{}", 0)).entries.size(), 0u);
}

TEST(Safetensors, RefusesHeadersThatAreNoJsonObject) {
  expect_all_refused({
      {"", 1, "holds nothing but zeros"},
      {"x{}", 0, "expected the header to start with '{', got 'x'"},
      {" {}", 0, "expected the header to start with '{'"},
      {"[]", 0, "expected the header to start with '{', got '['"},
      {"null", 0, "expected the header to start with '{'"},
      {"\xef\xbb\xbf{}", 0, "expected the header to start with '{'"},
      {"{", 0, "invalid JSON at byte 2"},
      {"{}}", 0, "invalid JSON at byte 3"},
      {"{} x", 0, "invalid JSON"},
      {"{}//", 0, "invalid JSON"},
      {std::string("{}\0{}", 5), 0, "invalid JSON: NUL at byte 2"},
      {R"({"a"})", 0, "invalid JSON"},
      {R"({"a":})", 0, "invalid JSON"},
      {R"({"a":1,})", 0, "invalid JSON"},
      {R"({a:1})", 0, "invalid JSON"},
      {R"({'a':1})", 0, "invalid JSON"},
      {R"({"a":01})", 0, "invalid JSON"},
      {R"({"a":NaN})", 0, "invalid JSON"},
      {R"({"a":1e999})", 0, "invalid JSON"},
      {"{\"a\":\"\n\"}", 0, "invalid JSON"},
      {"{\"\xff\":1}", 0, "invalid JSON"},
      {"{\"\xc0\x80\":1}", 0, "invalid JSON"},
      {"{\"\xed\xa0\x80\":1}", 0, "invalid JSON"},
      {R"({"\ud800":1})", 0, "invalid JSON"},
      {R"({"a\u0000b":1})", 0, "holds a NUL"},
      {R"({"a":{"dtype":[[[[1]]]]}})", 0, "nested deeper than 4 levels"},
      {R"({"a":)" + std::string(100'000, '['), 0, "nested deeper than 4 levels"},
      {R"({"a":1,"a":1})", 0, "duplicate key 'a'"},
      {R"({"__metadata__":{},"__metadata__":{}})", 0, "duplicate key '__metadata__'"},
      {R"({"__metadata__":{"k":"1","k":"2"}})", 0, "duplicate key 'k'"},
      {R"({"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1,
       "duplicate key 'dtype'"},
  });
}

TEST(Safetensors, RefusesBadEntries) {
  expect_all_refused({
      {tensor("1"), 0, "tensor 'a': expected an object, got 1"},
      {tensor("null"), 0, "tensor 'a': expected an object, got null"},
      {tensor("[]"), 0, "tensor 'a': expected an object, got an array of 0"},
      {tensor("{}"), 0, "tensor 'a': field 'dtype' is missing"},
      {tensor(R"({"dtype":"U8","data_offsets":[0,0]})"), 0, "field 'shape' is missing"},
      {tensor(R"({"dtype":"U8","shape":[]})"), 0, "field 'data_offsets' is missing"},
      {tensor(R"({"dtype":"U8","shape":[],"data_offsets":[0,1],"x":1})"), 1, "unknown field 'x'"},
      {tensor(R"({"dtype":"U8","shape":[],"data_offsets":[0,1],"a\nb":1})"), 1,
       R"(unknown field 'a\x0ab')"},
      {tensor(R"({"dtype":1,"shape":[],"data_offsets":[0,1]})"), 1, "dtype: expected a string"},
      {tensor(R"({"dtype":null,"shape":[],"data_offsets":[0,1]})"), 1, "dtype: expected a string"},
      {tensor(R"({"dtype":"","shape":[],"data_offsets":[0,1]})"), 1, "unknown dtype ''"},
      {tensor(R"({"dtype":"f32","shape":[],"data_offsets":[0,4]})"), 4, "unknown dtype 'f32'"},
      {tensor(R"({"dtype":"F9","shape":[],"data_offsets":[0,1]})"), 1, "unknown dtype 'F9'"},
      {tensor(R"({"dtype":"F4","shape":[2],"data_offsets":[0,1]})"), 1,
       "tensor 'a': dtype F4 is not supported", Code::kUnsupported},
      {tensor(R"({"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]})"), 3,
       "F6_E2M3 is not supported", Code::kUnsupported},
      {tensor(R"({"dtype":"C64","shape":[1],"data_offsets":[0,8]})"), 8, "C64 is not supported",
       Code::kUnsupported},
      {tensor(R"({"dtype":"F8_E4M3FNUZ","shape":[1],"data_offsets":[0,1]})"), 1,
       "F8_E4M3FNUZ is not supported", Code::kUnsupported},
      {R"({"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1, "tensor '': empty name"},
      {R"({")" + std::string(1025, 'n') + R"(":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1,
       "name of 1025 bytes, expected at most 1024"},
  });
}

TEST(Safetensors, RefusesBadShapes) {
  const auto shape = [](const std::string& dims, const std::string& offsets) {
    return tensor(R"({"dtype":"F32","shape":)" + dims + R"(,"data_offsets":)" + offsets + "}");
  };
  expect_all_refused({
      {shape("4", "[0,4]"), 4, "shape: expected an array, got 4"},
      {shape("{}", "[0,4]"), 4, "shape: expected an array, got an object"},
      {shape("[-1]", "[0,4]"), 4, "shape: expected integers in [0, 2^63), got -1"},
      {shape("[1.0]", "[0,4]"), 4, "shape: expected integers in [0, 2^63), got 1.0"},
      {shape(R"(["1"])", "[0,4]"), 4, "shape: expected integers in [0, 2^63), got the string '1'"},
      {shape("[true]", "[0,4]"), 4, "shape: expected integers in [0, 2^63), got true"},
      {shape("[null]", "[0,4]"), 4, "shape: expected integers in [0, 2^63), got null"},
      {shape("[[1]]", "[0,4]"), 4, "shape: expected integers in [0, 2^63), got an array"},
      {shape("[9223372036854775808]", "[0,4]"), 4, "shape: expected integers in [0, 2^63)"},
      {shape("[99999999999999999999]", "[0,4]"), 4, "shape: expected integers in [0, 2^63)"},
      {shape("[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "expected at most 8 dimensions, got 9"},
      {shape("[2]", "[0,4]"), 4, "shape [2] of F32: expected 8 bytes, got 4"},
      {shape("[]", "[0,0]"), 0, "shape [] of F32: expected 4 bytes, got 0"},
      {shape("[0]", "[0,4]"), 4, "shape [0] of F32: expected 0 bytes, got 4"},
      {shape("[4294967296,4294967296]", "[0,0]"), 0, "needs more than 2^63 bytes"},
      {shape("[4611686018427387904]", "[0,0]"), 0, "needs more than 2^63 bytes"},
      {shape("[2305843009213693952]", "[0,0]"), 0, "needs more than 2^63 bytes"},
      {shape("[0,9223372036854775807,9223372036854775807]", "[0,0]"), 0,
       "needs more than 2^63 bytes"},
  });
}

TEST(Safetensors, RefusesBadOffsetsHolesAndOverlaps) {
  const auto one = [](const std::string& offsets) {
    return tensor(R"({"dtype":"U8","shape":[4],"data_offsets":)" + offsets + "}");
  };
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + first +
           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}";
  };
  expect_all_refused({
      {one("4"), 4, "data_offsets: expected an array of 2, got 4"},
      {one("[0]"), 4, "data_offsets: expected an array of 2, got an array of 1"},
      {one("[0,4,4]"), 4, "data_offsets: expected an array of 2, got an array of 3"},
      {one("[-4,0]"), 4, "data_offsets: expected integers >= 0, got -4"},
      {one("[0,4.0]"), 4, "data_offsets: expected integers >= 0, got 4.0"},
      {one(R"([0,"4"])"), 4, "data_offsets: expected integers >= 0, got the string '4'"},
      {one("[4,0]"), 4, "end 0 lies before begin 4"},
      {one("[18446744073709551612,0]"), 4, "lies before begin 18446744073709551612"},
      {one("[1,5]"), 5, "tensor 'a': hole before its data: expected to begin at byte 0, got 1"},
      {one("[0,4]"), 3, "truncated: the header promises 4 bytes of tensor data, the file holds 3"},
      {one("[0,4]"), 5, "covers 4 bytes, the file holds 5"},
      {one("[0,4]"), 0, "truncated: the header promises 4 bytes of tensor data, the file holds 0"},
      {"{}", 1, "covers 0 bytes, the file holds 1"},
      {two("[0,4]", "[0,4]"), 4, "tensor 'b': overlap at its data: expected to begin at byte 4"},
      {two("[0,4]", "[3,7]"), 7, "tensor 'b': overlap at its data"},
      {two("[0,4]", "[5,9]"), 9, "tensor 'b': hole before its data"},
      {two("[4,8]", "[4,8]"), 8, "tensor 'a': hole before its data"},
      {R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},)"
       R"("b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       4, "tensor 'a': overlap at its data: expected to begin at byte 4, got 2"},
  });
}

TEST(Safetensors, RefusesBadMetadata) {
  expect_all_refused({
      {R"({"__metadata__":"x"})", 0, "__metadata__: expected an object, got the string 'x'"},
      {R"({"__metadata__":[]})", 0, "__metadata__: expected an object, got an array of 0"},
      {R"({"__metadata__":{"k":1}})", 0, "__metadata__ 'k': expected a string, got 1"},
      {R"({"__metadata__":{"k":{"x":"y"}}})", 0, "__metadata__ 'k': expected a string"},
  });
}

// The library reads metadata as an optional map: null and absent are the same.
TEST(Safetensors, TakesNullMetadataForNone) {
  EXPECT_TRUE(parse(make_file(R"({"__metadata__":null})", 0)).metadata.empty());
}

// The library's limit, MAX_HEADER_SIZE of safetensors/src/tensor.rs.
TEST(Safetensors, ReadsHeadersUpToAHundredMegabytes) {
  std::string header = R"({"__metadata__":{"workflow":")" + std::string(99'000'000, 'w') + R"("}})";
  header.resize(100'000'000, ' ');
  EXPECT_EQ(parse(make_file(header, 0)).metadata.at("workflow").size(), 99'000'000u);
  header += ' ';
  expect_error_with(Code::kCorruptFile, "header of 100000001 bytes, expected at most 100000000",
                    [&] { parse(make_file(header, 0)); });
}

TEST(Safetensors, RefusesBadLengths) {
  struct BadFile {
    std::string file;
    std::string fragment;
  };
  const std::string huge_length("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
  const std::string three("\x03\x00\x00\x00\x00\x00\x00\x00", 8);
  for (const BadFile& bad : std::vector<BadFile>{
           {"", "is an empty file"},
           {"\x03" + std::string(6, '\0'), "expected at least 8 bytes, got 7"},
           {huge_length + "{}", "header of 18446744073709551615 bytes"},
           {three + "{}", "truncated: header of 3 bytes in a file of 10"},
       }) {
    expect_error_with(Code::kCorruptFile, bad.fragment, [&] { parse(bad.file); });
  }
}

TEST(Safetensors, LimitsTheNumberOfTensors) {
  std::string header = "{";
  for (size_t i = 0; i <= kMaxTensorsPerFile; ++i) {
    header += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0";
  }
  expect_error_with(
      Code::kCorruptFile, "200001 tensors, expected at most 200000",
      [&] { parse(make_file(header + "}", 0)); }, "too many tensors");
}

// Three small files that exercise every part of the format.
std::vector<std::string> small_files() {
  std::vector<std::string> files;
  files.push_back(make_file(R"({"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}})", 12));
  files.push_back(make_file(R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F8_E4M3","shape":)"
                            R"([1,32],"data_offsets":[0,32]},"s":{"dtype":"F8_E8M0","shape":[1,1],)"
                            R"("data_offsets":[32,33]}}  )",
                            33));
  files.push_back(
      read_file(std::string(MXVIDEO_GOLDEN_DIR) + "/checkpoint/library.safetensors", 1 << 20));
  return files;
}

TEST(Safetensors, RefusesEveryTruncation) {
  for (const std::string& file : small_files()) {
    ASSERT_NO_THROW(parse(file));
    for (size_t size = 0; size < file.size(); ++size) {
      EXPECT_THROW(parse(file.substr(0, size)), Error) << size;
    }
    EXPECT_THROW(parse(file + '\0'), Error);
  }
}

void expect_whole_file(const SafetensorsHeader& header, size_t file_bytes) {
  uint64_t covered = 0;
  for (const SafetensorsEntry& entry : header.entries) {
    EXPECT_EQ(entry.begin, covered);
    EXPECT_EQ(static_cast<uint64_t>(entry.shape.count() * dtype_size(entry.dtype)),
              entry.end - entry.begin);
    covered = entry.end;
  }
  EXPECT_EQ(header.data_offset + covered, file_bytes);
}

// A flipped bit is either refused or leads to a header that still describes the file exactly (a
// letter of a name, say). ASan and UBSan watch for the rest.
TEST(Safetensors, SurvivesEveryBitFlipOfTheHeader) {
  size_t refused = 0, accepted = 0;
  for (const std::string& file : small_files()) {
    const SafetensorsHeader original = parse(file);
    for (size_t bit = 0; bit < original.data_offset * 8; ++bit) {
      std::string flipped = file;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      try {
        const SafetensorsHeader header = parse(flipped);
        ++accepted;
        expect_whole_file(header, file.size());
      } catch (const Error& error) {
        ++refused;
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      }
    }
  }
  EXPECT_GT(refused, 5 * accepted);
  EXPECT_GT(accepted, 0u);
}

TEST(SafetensorsFile, ReleasesPagesAndReadsThemAgain) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "x.safetensors";
  Tensor large = Tensor::zeros({1 << 16});
  large.f32()[50'000] = 5;
  write_safetensors(path, std::array{NamedTensor{"large", large}});
  const SafetensorsFile file(path);
  const TensorView view = file.view(file.entries()[0]);
  EXPECT_EQ(to_f32(view).f32()[50'000], 5.0f);
  file.release_pages(view);
  EXPECT_EQ(to_f32(view).f32()[50'000], 5.0f);
}

TEST(SafetensorsFile, NamesTheFileInErrors) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "x.safetensors";
  write_file_atomically(path, make_file(tensor("1"), 0));
  expect_error_with(Code::kCorruptFile, path.string() + ": tensor 'a': expected an object",
                    [&] { SafetensorsFile file(path); });
  expect_error_with(Code::kNotFound, "absent.safetensors: cannot open",
                    [&] { SafetensorsFile file(directory.path() / "absent.safetensors"); });
  expect_error_with(Code::kNotFound, "not a regular file",
                    [&] { SafetensorsFile file(directory.path()); });
}

}  // namespace
}  // namespace mxvideo::checkpoint
