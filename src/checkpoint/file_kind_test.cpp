#include "base/file/file_kind.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/file/atomic_file.h"
#include "base/text/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/shard_index.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

using mxvideo::test::TemporaryDirectory;
using namespace std::string_literals;
using test::expect_error_with;

// What git lfs leaves where it was not installed; the text is the example of its specification.
const std::string kLfsPointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    "size 12345\n";
const std::string kPage =
    "\n<!DOCTYPE html>\n<html><body>Access to this repository is gated</body></html>";

// The first record of a zip archive, stored, with this name.
std::string zip_of(const std::string& name) {
  return "PK\x03\x04\x14\0\0\0\0\0"s + std::string(12, '\0') + "\1\0\0\0"s +
         std::string(1, static_cast<char>(name.size())) + "\0\0\0"s + name + "x";
}

struct Case {
  std::string bytes;
  std::string fragment;
  Code code = Code::kCorruptFile;
};

std::vector<Case> containers() {
  return {
      {"GGUF\3\0\0\0\x24\1\0\0\0\0\0\0"s, "is a GGUF file; ", Code::kUnsupported},
      {zip_of("archive/data.pkl"), "is a PyTorch checkpoint", Code::kUnsupported},
      {zip_of("arr_0.npy"), "is a NumPy archive (.npz)", Code::kUnsupported},
      {zip_of("model.onnx"), "is a zip archive; unpack it first", Code::kUnsupported},
      {"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9"s, "is a Python pickle", Code::kUnsupported},
      {"\x89HDF\r\n\x1a\n\0\0"s, "is an HDF5 file", Code::kUnsupported},
      {"\x93NUMPY\1\0v\0"s, "is a NumPy file", Code::kUnsupported},
      {"\x1f\x8b\x08\0\0\0\0\0\0\0"s, "is a gzip file; unpack it first", Code::kUnsupported},
      {std::string(257, 'a') + "ustar\0"s + std::string(300, '\0'), "is a tar archive",
       Code::kUnsupported},
      {kLfsPointer, "is a Git LFS pointer to 12345 bytes, not the file itself; get it with: "},
      {"/annex/objects/SHA256E-s7--0a.safetensors\n", "is a git-annex pointer"},
      {kPage, "is a web page (HTML)"},
      {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "is an XML document"},
      {std::string(64, '\0'), "holds nothing but zeros"},
      {std::string(100'000, '\0'), "begins with 4096 zero bytes"},
  };
}

TEST(FileKind, NamesWhatLiesInThePlaceOfWeights) {
  std::vector<Case> cases = containers();
  cases.push_back({"", "is an empty file"});
  cases.push_back({"Entry not found", "is text, not a binary file: 'Entry not found'"});
  cases.push_back({R"({"error":"Repository not found"})", "is text, not a binary file: '{"});
  cases.push_back({R"({"metadata":{}, "weight_map":{"a":"b"}})", "is the index of a sharded"});
  const TemporaryDirectory directory;
  const auto path = directory.path() / "weights.safetensors";
  for (const Case& c : cases) {
    write_file_atomically(path, c.bytes);
    expect_error_with(c.code, path.string() + ": " + c.fragment,
                      [&] { Checkpoint::open_file(path); });
  }
}

TEST(FileKind, NamesWhatLiesInThePlaceOfJson) {
  for (const Case& c : containers()) {
    expect_error_with(Code::kCorruptFile, "config.json: " + c.fragment,
                      [&] { parse_json(c.bytes, "config.json"); });
  }
}

TEST(FileKind, SaysNothingOfOtherBytes) {
  for (const std::string& bytes : {"{}"s, "[1, 2]"s, "\2\0\0\0\0\0\0\0{}"s, "\x0a\x0e\x0a"s}) {
    EXPECT_FALSE(recognise_container(std::as_bytes(std::span(bytes)))) << bytes;
  }
  // A header of 640 bytes begins like a pickle of protocol 2.
  const std::string file = "\x80\x02\0\0\0\0\0\0{}"s + std::string(638, ' ');
  const TemporaryDirectory directory;
  write_file_atomically(directory.path() / "a.safetensors", file);
  EXPECT_TRUE(Checkpoint::open_file(directory.path() / "a.safetensors").tensors().empty());
  // One of 19,778 like a BMP image.
  for (const std::string& start : {"BM\0\0"s, "\0\0\1\0"s}) {
    const std::string header = start + "\0\0\0\0{\"a\": "s;
    EXPECT_FALSE(recognise_container(std::as_bytes(std::span(header))));
  }
}

TEST(FileKind, AFolderSaysWhatItHoldsInsteadOfACheckpoint) {
  const TemporaryDirectory directory;
  write_file_atomically(directory.path() / "Wan2.2-Q8_0.gguf", "GGUF\3\0\0\0"s);
  expect_error_with(Code::kNotFound, "only Wan2.2-Q8_0.gguf: Wan2.2-Q8_0.gguf is a GGUF file",
                    [&] { Checkpoint::open_directory(directory.path()); });
  write_file_atomically(directory.path() / "model-00001-of-00002.safetensors", "");
  expect_error_with(Code::kNotFound,
                    "is shard 1 of 2 without the index model.safetensors.index.json",
                    [&] { Checkpoint::open_directory(directory.path()); });
}

TEST(ShardName, IsThatOfTheLibraries) {
  const auto shard = parse_shard_name("diffusion_pytorch_model-00002-of-00012.safetensors");
  ASSERT_TRUE(shard);
  EXPECT_EQ(shard->stem, "diffusion_pytorch_model");
  EXPECT_EQ(shard->sentence(), "shard 2 of 12");
  for (const char* other :
       {"model.safetensors", "-00001-of-00002.safetensors", "a-1-of-.safetensors",
        "a--of-2.safetensors", "a-1-of-2.bin", "a-x-of-2.safetensors", "a-+1-of-2.safetensors"}) {
    EXPECT_FALSE(parse_shard_name(other)) << other;
  }
}

}  // namespace
}  // namespace mxvideo::checkpoint
