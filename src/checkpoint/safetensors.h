// Reader of safetensors files: 8 bytes header length (little endian), a JSON header, tensor data.
// Strict: every byte of the data belongs to exactly one tensor, every tensor has the size its
// shape and dtype say, nothing is skipped. Source: github.com/huggingface/safetensors, README and
// safetensors/src/tensor.rs (limit of the header, null metadata).
//
// Errors: Code::kCorruptFile "PATH: tensor 'NAME': what, expected …, got …"; files of other kinds
// are named (file_kind.h). Code::kUnsupported for dtypes that safetensors knows and mxvideo does
// not, and for files of other formats. const access is thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file/mapped_file.h"
#include "tensor/tensor.h"

namespace mxvideo::checkpoint {

inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;  // as the library's limit
inline constexpr size_t kMaxTensorNameBytes = 1024;
inline constexpr size_t kMaxTensorsPerFile = 200'000;

// One tensor of a header. The range is relative to the start of the data.
struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their data
  std::map<std::string, std::string> metadata;
  uint64_t data_offset = 0;  // of the first data byte in the file
};

// Checks header text against the number of data bytes that follow it; data_offset stays 0.
// `origin` names the source in messages.
SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes,
                                           const std::string& origin);

// Checks a whole file.
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& origin);

// A mapped file. Immovable, because views and StoredTensor point to it.
class SafetensorsFile {
 public:
  // Throws Code::kNotFound or Code::kIo too.
  explicit SafetensorsFile(const std::filesystem::path& path);
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::filesystem::path& path() const { return file_.path(); }
  const std::vector<SafetensorsEntry>& entries() const { return header_.entries; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  // Its length and its JSON, in the mapping.
  std::span<const std::byte> header_bytes() const {
    return file_.bytes().first(header_.data_offset);
  }
  // The entry's bytes in the mapping; they may be unaligned.
  TensorView view(const SafetensorsEntry& entry) const;
  // Drops the pages of a view of this file from memory.
  void release_pages(const TensorView& view) const;
  void check_unchanged() const { file_.check_unchanged(); }

 private:
  MappedFile file_;
  SafetensorsHeader header_;
};

}  // namespace mxvideo::checkpoint
