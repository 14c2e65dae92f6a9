#include "e2e/damaged_model.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "e2e/cli_fixture.h"

namespace mxvideo::test {

namespace fs = std::filesystem;

TensorFile TensorFile::read(const fs::path& path) {
  const std::string file = read_text(path);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), sizeof(header_bytes));
  const auto header = nlohmann::json::parse(file.substr(8, header_bytes));
  TensorFile result;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") continue;
    const auto begin = value.at("data_offsets").at(0).get<size_t>();
    const auto end = value.at("data_offsets").at(1).get<size_t>();
    result.entries.push_back({.name = name,
                              .dtype = value.at("dtype"),
                              .shape = value.at("shape"),
                              .bytes = file.substr(8 + header_bytes + begin, end - begin)});
  }
  return result;
}

void TensorFile::write(const fs::path& path) const {
  nlohmann::ordered_json header;
  std::string data;
  for (const Entry& entry : entries) {
    header[entry.name] = {{"dtype", entry.dtype},
                          {"shape", entry.shape},
                          {"data_offsets", {data.size(), data.size() + entry.bytes.size()}}};
    data += entry.bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t header_bytes = text.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &header_bytes, sizeof(header_bytes));
  write_text(path, file + text + data);
}

TensorFile::Entry& TensorFile::at(const std::string& name) {
  const auto found = std::ranges::find(entries, name, &Entry::name);
  if (found == entries.end()) throw std::runtime_error("no tensor " + name);
  return *found;
}

void TensorFile::erase(const std::string& name) {
  entries.erase(entries.begin() + (&at(name) - entries.data()));
}

void TensorFile::fill_nan(const std::string& name) {
  Entry& entry = at(name);
  // 0xff in every byte is a NaN of F32, F16 and BF16.
  std::fill(entry.bytes.begin(), entry.bytes.end(), '\xff');
}

void edit_tensors(const fs::path& path, const std::function<void(TensorFile&)>& edit) {
  TensorFile file = TensorFile::read(path);
  edit(file);
  file.write(path);
}

void edit_json(const fs::path& path, const std::function<void(nlohmann::json&)>& edit) {
  nlohmann::json json = read_json(path);
  edit(json);
  write_text(path, json.dump(2));
}

void edit_bytes(const fs::path& path, const std::string& from, const std::string& to) {
  std::string text = read_text(path);
  const size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error(path.string() + ": no '" + from + "'");
  write_text(path, text.replace(at, from.size(), to));
}

void truncate_file(const fs::path& path) { fs::resize_file(path, fs::file_size(path) / 2); }

}  // namespace mxvideo::test
