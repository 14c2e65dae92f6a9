// Writer of safetensors files. The bytes are those of the Python library for the same input:
// tensors sorted by dtype (widest first), then by name, without holes; header padded with spaces
// to a multiple of 8, so that every tensor is aligned to its element size.
// Errors: Code::kInvalidArgument for names or metadata that the format cannot hold (duplicates,
// invalid UTF-8, over the reader's limits), Code::kIo. Source: github.com/huggingface/safetensors,
// README and serialize().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file/atomic_file.h"
#include "base/sha256.h"
#include "tensor/tensor.h"

namespace mxvideo::checkpoint {

struct TensorSpec {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;

  int64_t bytes() const;  // throws Code::kInvalidArgument when it leaves int64
};

// Writes one file without holding it in memory: the header and the space come first, the tensors in
// any order and in pieces. write() may be called from several threads for different ranges; the
// rest belongs to one thread.
class SafetensorsWriter {
 public:
  // Creates the temporary file and allocates its space, after everything else has been checked.
  SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorSpec> tensors,
                    const std::map<std::string, std::string>& metadata = {});
  // Into a file that is open and empty, which must outlive this.
  SafetensorsWriter(AtomicFile& file, std::vector<TensorSpec> tensors,
                    const std::map<std::string, std::string>& metadata = {});

  // In the order of the file, which is also the fastest one to write in.
  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  int64_t file_bytes() const { return file_bytes_; }

  // Makes commit() return the SHA-256 of the file. What is written in the order of the file is
  // hashed on the way; the rest is read back. Call it before the first write.
  void enable_hash();

  // `offset` in bytes from the start of the tensor. Each byte must be written once. Throws
  // Code::kInternal for an unknown tensor or a range outside of it.
  void write(const std::string& tensor, int64_t offset, std::span<const std::byte> bytes);

  // Syncs and renames; returns the hash, empty unless asked for. Throws Code::kInternal unless as
  // many bytes were written as every tensor has.
  std::string commit();

 private:
  struct Layout;
  struct Range {
    int64_t begin = 0;  // in the file
    int64_t bytes = 0;
    std::atomic<int64_t> written{0};
  };

  static Layout make_layout(const std::string& origin, std::vector<TensorSpec> tensors,
                            const std::map<std::string, std::string>& metadata);
  SafetensorsWriter(const std::filesystem::path& path, Layout layout);
  void begin(Layout layout);
  friend int64_t safetensors_file_bytes(std::vector<TensorSpec> tensors,
                                        const std::map<std::string, std::string>& metadata);

  std::unique_ptr<AtomicFile> owned_;
  AtomicFile& file_;
  std::vector<TensorSpec> tensors_;
  std::map<std::string, Range> ranges_;
  int64_t file_bytes_ = 0;
  std::string head_;  // length and header: what lies before the tensors
  std::mutex hash_mutex_;
  std::optional<Sha256> hash_;  // of the first hashed_bytes_ of the file
  int64_t hashed_bytes_ = 0;
};

// Bytes of the file that SafetensorsWriter would write.
int64_t safetensors_file_bytes(std::vector<TensorSpec> tensors,
                               const std::map<std::string, std::string>& metadata = {});

struct NamedTensor {
  std::string name;
  TensorView view;
};

// Writes atomically (base/file/atomic_file.h).
void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});
// Into a file that is open and empty; commits it.
void write_safetensors(AtomicFile& file, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace mxvideo::checkpoint
