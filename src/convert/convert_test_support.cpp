#include "convert/convert_test_support.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "checkpoint/safetensors.h"
#include "support/test_support.h"

namespace mxvideo::convert::test {

namespace fs = std::filesystem;

fs::path golden_model(const std::string& name) {
  return fs::path(MXVIDEO_GOLDEN_DIR) / "models" / name;
}

std::string bytes_of_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::map<std::string, std::string> files_of(const fs::path& directory) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    files[entry.path().lexically_relative(directory).string()] = bytes_of_file(entry.path());
  }
  return files;
}

void write_file(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  fs::remove(path);  // it may be a hard link to a golden file
  std::ofstream(path, std::ios::binary) << text;
}

nlohmann::json json_of_file(const fs::path& path) {
  return nlohmann::json::parse(bytes_of_file(path));
}

StoredTensors read_tensors(const fs::path& file) {
  StoredTensors tensors;
  const checkpoint::SafetensorsFile stored(file);
  for (const checkpoint::SafetensorsEntry& entry : stored.entries()) {
    const TensorView view = stored.view(entry);
    const auto dims = entry.shape.dims();
    tensors[entry.name] = {
        .dtype = entry.dtype,
        .shape = {dims.begin(), dims.end()},
        .bytes = {reinterpret_cast<const char*>(view.data), static_cast<size_t>(view.bytes())}};
  }
  return tensors;
}

void write_tensors(const fs::path& file, const StoredTensors& tensors,
                   const std::map<std::string, std::string>& metadata) {
  fs::create_directories(file.parent_path());
  std::vector<checkpoint::NamedTensor> views;
  for (const auto& [name, tensor] : tensors) {
    views.push_back({.name = name,
                     .view = {.data = reinterpret_cast<const std::byte*>(tensor.bytes.data()),
                              .dtype = tensor.dtype,
                              .shape = Shape(tensor.shape)}});
  }
  checkpoint::write_safetensors(file, views, metadata);
}

void edit_tensors(const fs::path& file, const std::function<void(StoredTensors&)>& edit) {
  StoredTensors tensors = read_tensors(file);
  edit(tensors);
  write_tensors(file, tensors);
}

void edit_json(const fs::path& file, const std::function<void(nlohmann::ordered_json&)>& edit) {
  auto json = nlohmann::ordered_json::parse(bytes_of_file(file));
  edit(json);
  write_file(file, json.dump(2));
}

QuantizeOptions quantize_options(const fs::path& model, const fs::path& output, Layout layout) {
  QuantizeOptions options;
  options.model.path = model;
  options.output.path = output;
  options.output.layout = layout;
  return options;
}

RepackOptions repack_options(const fs::path& quant, const fs::path& output, Layout layout) {
  RepackOptions options;
  options.quant.path = quant;
  options.quant.path_field = "quant_path";
  options.output.path = output;
  options.output.layout = layout;
  options.verify = true;
  return options;
}

}  // namespace mxvideo::convert::test
