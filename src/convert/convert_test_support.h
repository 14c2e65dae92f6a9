// What the tests of this folder share: tiny models, files as bytes, damaged copies.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "checkpoint/safetensors_writer.h"
#include "convert/quantization/quantize.h"
#include "convert/repack.h"
#include "support/expect_error.h"

namespace mxvideo::convert::test {

std::filesystem::path golden_model(const std::string& name);  // "t2v-a14b"

// Every file below a directory: relative path -> bytes.
std::map<std::string, std::string> files_of(const std::filesystem::path& directory);
std::string bytes_of_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& text);
nlohmann::json json_of_file(const std::filesystem::path& path);

struct StoredBytes {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::string bytes;
};
using StoredTensors = std::map<std::string, StoredBytes>;

// A safetensors file as it is, without any interpretation.
StoredTensors read_tensors(const std::filesystem::path& file);
void write_tensors(const std::filesystem::path& file, const StoredTensors& tensors,
                   const std::map<std::string, std::string>& metadata = {{"format", "pt"}});
// Reads, edits, writes back.
void edit_tensors(const std::filesystem::path& file,
                  const std::function<void(StoredTensors&)>& edit);
void edit_json(const std::filesystem::path& file,
               const std::function<void(nlohmann::ordered_json&)>& edit);

QuantizeOptions quantize_options(const std::filesystem::path& model,
                                 const std::filesystem::path& output, Layout layout);
RepackOptions repack_options(const std::filesystem::path& quant,
                             const std::filesystem::path& output, Layout layout);

using mxvideo::test::expect_error_with;

}  // namespace mxvideo::convert::test
