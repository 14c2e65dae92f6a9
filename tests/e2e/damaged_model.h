// Copies of the tiny models with something wrong in them.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mxvideo::test {

// A safetensors file taken apart, so that it can be put together differently.
struct TensorFile {
  struct Entry {
    std::string name;
    std::string dtype;
    std::vector<int64_t> shape;
    std::string bytes;
  };
  std::vector<Entry> entries;

  static TensorFile read(const std::filesystem::path& path);
  void write(const std::filesystem::path& path) const;
  Entry& at(const std::string& name);
  void erase(const std::string& name);
  // Every value of a floating-point tensor becomes NaN.
  void fill_nan(const std::string& name);
};

void edit_tensors(const std::filesystem::path& path, const std::function<void(TensorFile&)>& edit);
void edit_json(const std::filesystem::path& path, const std::function<void(nlohmann::json&)>& edit);
// Replaces the first occurrence of `from`, which must be there, in the file's bytes.
void edit_bytes(const std::filesystem::path& path, const std::string& from, const std::string& to);
// Keeps the first half.
void truncate_file(const std::filesystem::path& path);

}  // namespace mxvideo::test
