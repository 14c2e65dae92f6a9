// A golden file of tests/golden: tensors by name, read from safetensors. Test-only and deliberately
// independent of src/checkpoint, so that a bug there cannot hide itself.
//
// Every getter copies. A missing tensor or file, a wrong dtype or a malformed header throws
// std::runtime_error with the file and the tensor in the message. Thread-safe for reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mxvideo::test {

// Absolute path of a file below tests/golden.
std::string golden_path(std::string_view relative);

class GoldenFile {
 public:
  // `relative` is a path below tests/golden, e.g. "dit/t2v-a14b_f3_6x10.safetensors"; an absolute
  // path is taken as it is.
  explicit GoldenFile(std::string_view relative);

  bool has(const std::string& name) const;
  std::vector<std::string> names() const;  // sorted
  std::vector<int64_t> shape(const std::string& name) const;
  std::string dtype(const std::string& name) const;  // safetensors spelling: "F32", "U8", …

  // F32; BF16 and F16 are widened exactly.
  std::vector<float> f32(const std::string& name) const;
  std::vector<double> f64(const std::string& name) const;  // F64 only
  // U8, BOOL and the one-byte float formats, as stored.
  std::vector<uint8_t> u8(const std::string& name) const;
  std::vector<uint16_t> u16(const std::string& name) const;  // U16, I16, BF16, F16: the bits
  std::vector<uint32_t> u32(const std::string& name) const;  // U32, I32, F32: the bits
  std::vector<int32_t> i32(const std::string& name) const;
  std::vector<int64_t> i64(const std::string& name) const;  // I64 only

  // The header's `__metadata__`; empty when there is none.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  struct Entry {
    std::string dtype;
    std::vector<int64_t> shape;
    size_t begin = 0;  // in bytes_, after the header
    size_t end = 0;
  };

  void parse_header(const std::string& header, size_t data_offset);
  const Entry& entry(const std::string& name) const;
  const Entry& entry_of(const std::string& name, std::string_view dtypes) const;
  template <class T>
  std::vector<T> copy(const Entry& entry) const;

  std::string path_;
  std::vector<std::byte> bytes_;  // the whole file
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace mxvideo::test
