#include "pipeline/text/text_cache.h"

#include <cmath>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/sha256.h"
#include "base/text/field.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_writer.h"
#include "pipeline/numerics_guard.h"

namespace mxvideo::pipeline {
namespace {

namespace fs = std::filesystem;
using checkpoint::SafetensorsHeader;

constexpr const char* kTensorName = "embedding";
constexpr const char* kKeyField = "key";
constexpr const char* kHashField = "sha256";

// Room for header and metadata beside the data.
constexpr int64_t kMaxHeaderBytes = 1 << 20;

std::string sha256(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex_digest();
}

// Entries of this process are written one at a time: temporary files are named after the process.
std::mutex& writer_mutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

TextCache::TextCache(fs::path directory, nlohmann::ordered_json identity, int64_t width)
    : directory_(std::move(directory)), identity_(std::move(identity)), width_(width) {
  std::error_code ignored;  // what cannot be looked at is not there; store() will say more
  const fs::file_status status = fs::status(directory_, ignored);
  if (fs::exists(status) && !fs::is_directory(status)) {
    throw Error(Code::kInvalidArgument,
                field("text_cache") + ": expected a directory, got " + directory_.string());
  }
}

std::string TextCache::key_of(std::span<const int32_t> ids) const {
  nlohmann::ordered_json key = identity_;
  key["ids"] = std::vector<int32_t>(ids.begin(), ids.end());
  return key.dump();
}

fs::path TextCache::path_of(std::span<const int32_t> ids) const {
  const std::string key = key_of(ids);
  return directory_ / (sha256(std::as_bytes(std::span(key))) + ".safetensors");
}

// Read into memory, not mapped: another process may replace or damage the file meanwhile.
Tensor TextCache::read(const fs::path& path, std::span<const int32_t> ids) const {
  const Shape shape{static_cast<int64_t>(ids.size()), width_};
  const int64_t data_bytes = shape.count() * dtype_size(DType::kF32);
  const std::string file = read_file(path, static_cast<size_t>(data_bytes + kMaxHeaderBytes));
  const std::string origin = path.string();
  const auto require = [&](bool holds, const char* what) {
    if (!holds) throw Error(Code::kCorruptFile, origin + ": " + what);
  };
  const auto bytes = std::as_bytes(std::span(file));
  const SafetensorsHeader header = checkpoint::parse_safetensors(bytes, origin);
  require(header.entries.size() == 1 && header.entries[0].name == kTensorName,
          "expected one tensor 'embedding'");
  require(header.entries[0].dtype == DType::kF32 && header.entries[0].shape == shape,
          "the tensor's type or shape is not that of the prompt");
  const auto field = [&](const char* name) {
    const auto found = header.metadata.find(name);
    return found == header.metadata.end() ? std::string() : found->second;
  };
  require(field(kKeyField) == key_of(ids), "made for another prompt or model");
  const auto data = bytes.subspan(header.data_offset);
  require(field(kHashField) == sha256(data), "the data is not what was written");
  Tensor rows(DType::kF32, shape);
  std::memcpy(rows.data(), data.data(), data.size());
  require(all_finite(rows), "the embedding holds NaN or infinity");
  return rows;
}

TextCache::Entry TextCache::find(std::span<const int32_t> ids) const {
  try {
    return {.rows = read(path_of(ids), ids), .defect = {}};
  } catch (const Error& error) {
    if (error.code() == Code::kNotFound) return {};
    return {.rows = std::nullopt, .defect = error.what()};
  }
}

void TextCache::store(std::span<const int32_t> ids, const Tensor& rows) const {
  const std::lock_guard lock(writer_mutex());
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) {
    throw Error(Code::kIo, directory_.string() + ": cannot create: " + error.message());
  }
  const checkpoint::NamedTensor tensor{.name = kTensorName, .view = rows.view()};
  const std::span data(rows.data(), static_cast<size_t>(rows.bytes()));
  checkpoint::write_safetensors(path_of(ids), std::span(&tensor, 1),
                                {{kKeyField, key_of(ids)}, {kHashField, sha256(data)}});
}

}  // namespace mxvideo::pipeline
