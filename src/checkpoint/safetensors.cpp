#include "checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/file/file_kind.h"
#include "base/text/json.h"
#include "base/text/quote.h"

namespace mxvideo::checkpoint {
namespace {

using nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr int kMaxHeaderDepth = 4;
constexpr std::string_view kMetadataKey = "__metadata__";

// Names that the safetensors library defines and for which mxvideo has no DType.
constexpr std::array<std::string_view, 6> kForeignDtypes = {
    "F4", "F6_E2M3", "F6_E3M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64",
};

// Reads the JSON value of one tensor. Holds what its messages need.
class EntryParser {
 public:
  EntryParser(const std::string& origin, const std::string& name, const json& value)
      : origin_(origin), name_(name), value_(value) {}

  SafetensorsEntry parse() const {
    check_name();
    check_keys();
    SafetensorsEntry entry{.name = name_, .dtype = parse_dtype_field(), .shape = parse_shape()};
    std::tie(entry.begin, entry.end) = parse_offsets();
    check_size(entry);
    return entry;
  }

 private:
  [[noreturn]] void fail(const std::string& what, Code code = Code::kCorruptFile) const {
    throw Error(code, origin_ + ": tensor '" + printable(name_) + "': " + what);
  }

  void check_name() const {
    if (name_.empty()) fail("empty name");
    if (name_.size() > kMaxTensorNameBytes) {
      fail("name of " + std::to_string(name_.size()) + " bytes, expected at most " +
           std::to_string(kMaxTensorNameBytes));
    }
  }

  void check_keys() const {
    if (!value_.is_object()) fail("expected an object, got " + describe_json(value_));
    for (const char* key : {"dtype", "shape", "data_offsets"}) {
      if (!value_.contains(key)) fail(std::string("field '") + key + "' is missing");
    }
    for (const auto& [key, unused] : value_.items()) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") {
        fail("unknown field '" + printable(key) + "'");
      }
    }
  }

  DType parse_dtype_field() const {
    const json& value = value_["dtype"];
    if (!value.is_string()) fail("dtype: expected a string, got " + describe_json(value));
    const auto& name = value.get_ref<const std::string&>();
    const std::optional<DType> dtype = parse_dtype(name);
    if (dtype) return *dtype;
    if (std::find(kForeignDtypes.begin(), kForeignDtypes.end(), name) != kForeignDtypes.end()) {
      fail("dtype " + name + " is not supported", Code::kUnsupported);
    }
    fail("unknown dtype '" + printable(name, 40) + "'");
  }

  Shape parse_shape() const {
    const json& value = value_["shape"];
    if (!value.is_array()) fail("shape: expected an array, got " + describe_json(value));
    if (value.size() > static_cast<size_t>(Shape::kMaxRank)) {
      fail("shape: expected at most " + std::to_string(Shape::kMaxRank) + " dimensions, got " +
           std::to_string(value.size()));
    }
    std::vector<int64_t> dims;
    for (const json& dim : value) {
      constexpr auto kMaxDim = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
      if (!dim.is_number_unsigned() || dim.get<uint64_t>() > kMaxDim) {
        fail("shape: expected integers in [0, 2^63), got " + describe_json(dim));
      }
      dims.push_back(dim.get<int64_t>());
    }
    return Shape(dims);
  }

  std::pair<uint64_t, uint64_t> parse_offsets() const {
    const json& value = value_["data_offsets"];
    if (!value.is_array() || value.size() != 2) {
      fail("data_offsets: expected an array of 2, got " + describe_json(value));
    }
    for (const json& offset : value) {
      if (!offset.is_number_unsigned()) {
        fail("data_offsets: expected integers >= 0, got " + describe_json(offset));
      }
    }
    const auto begin = value[0].get<uint64_t>();
    const auto end = value[1].get<uint64_t>();
    if (end < begin) {
      fail("data_offsets: end " + std::to_string(end) + " lies before begin " +
           std::to_string(begin));
    }
    return {begin, end};
  }

  void check_size(const SafetensorsEntry& entry) const {
    // Zeros are left out of the overflow check, so that strides of an empty tensor fit too.
    uint64_t bytes = static_cast<uint64_t>(dtype_size(entry.dtype));
    bool empty = false;
    for (const int64_t dim : entry.shape.dims()) {
      if (dim == 0) empty = true;
      const uint64_t factor = dim == 0 ? 1 : static_cast<uint64_t>(dim);
      if (__builtin_mul_overflow(bytes, factor, &bytes) ||
          bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        fail("shape " + entry.shape.to_string() + " of " + std::string(dtype_name(entry.dtype)) +
             " needs more than 2^63 bytes");
      }
    }
    if (empty) bytes = 0;
    if (bytes == entry.end - entry.begin) return;
    fail("shape " + entry.shape.to_string() + " of " + std::string(dtype_name(entry.dtype)) +
         ": expected " + std::to_string(bytes) + " bytes, got " +
         std::to_string(entry.end - entry.begin));
  }

  const std::string& origin_;
  const std::string& name_;
  const json& value_;
};

std::map<std::string, std::string> parse_metadata(const json& value, const std::string& origin) {
  std::map<std::string, std::string> metadata;
  if (value.is_null()) return metadata;  // as the safetensors library does: an absent optional
  if (!value.is_object()) {
    throw Error(Code::kCorruptFile,
                origin + ": __metadata__: expected an object, got " + describe_json(value));
  }
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      throw Error(Code::kCorruptFile, origin + ": __metadata__ '" + printable(key) +
                                          "': expected a string, got " + describe_json(text));
    }
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

// Sorts by position and checks that the ranges tile [0, data_bytes).
void check_coverage(std::vector<SafetensorsEntry>& entries, uint64_t data_bytes,
                    const std::string& origin) {
  std::sort(entries.begin(), entries.end(),
            [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
              return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
            });
  uint64_t position = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin != position) {
      throw Error(Code::kCorruptFile,
                  origin + ": tensor '" + printable(entry.name) +
                      "': " + (entry.begin > position ? "hole before" : "overlap at") +
                      " its data: expected to begin at byte " + std::to_string(position) +
                      ", got " + std::to_string(entry.begin));
    }
    position = entry.end;
  }
  if (position == data_bytes) return;
  const std::string held = std::to_string(data_bytes);
  if (position > data_bytes) {
    throw Error(Code::kCorruptFile, origin + ": truncated: the header promises " +
                                        std::to_string(position) +
                                        " bytes of tensor data, the file holds " + held +
                                        "; the download or copy was not finished");
  }
  throw Error(Code::kCorruptFile, origin + ": data section: the header covers " +
                                      std::to_string(position) + " bytes, the file holds " + held);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes,
                                           const std::string& origin) {
  if (text.empty() || text[0] != '{') {
    throw Error(Code::kCorruptFile,
                origin + ": not a safetensors file: expected the header to start with '{', got '" +
                    printable(text.substr(0, 1)) + "'");
  }
  const JsonLimits limits{.max_bytes = kMaxSafetensorsHeaderBytes, .max_depth = kMaxHeaderDepth};
  const json root = parse_json(text, origin + ": header", limits);
  if (root.size() > kMaxTensorsPerFile) {
    throw Error(Code::kCorruptFile, origin + ": " + std::to_string(root.size()) +
                                        " tensors, expected at most " +
                                        std::to_string(kMaxTensorsPerFile));
  }
  SafetensorsHeader header;
  header.entries.reserve(root.size());
  for (const auto& [name, value] : root.items()) {
    if (name == kMetadataKey) {
      header.metadata = parse_metadata(value, origin);
    } else {
      header.entries.push_back(EntryParser(origin, name, value).parse());
    }
  }
  check_coverage(header.entries, data_bytes, origin);
  return header;
}

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& origin) {
  uint64_t length = 0;
  for (size_t i = 0; i < std::min(kLengthBytes, file.size()); ++i) {
    length |= std::to_integer<uint64_t>(file[i]) << (8 * i);
  }
  const bool whole_length = file.size() >= kLengthBytes;
  const bool starts_as_header = file.size() > kLengthBytes && file[kLengthBytes] == std::byte{'{'};
  // The bytes that tell other formats are lengths that no header has.
  if (length > kMaxSafetensorsHeaderBytes || !starts_as_header) {
    refuse_in_place_of_binary(file, origin);
  }
  if (!whole_length) {
    throw Error(Code::kCorruptFile, origin + ": not a safetensors file: expected at least " +
                                        std::to_string(kLengthBytes) + " bytes, got " +
                                        std::to_string(file.size()));
  }
  if (length > kMaxSafetensorsHeaderBytes) {
    throw Error(Code::kCorruptFile, origin + ": not a safetensors file: header of " +
                                        std::to_string(length) + " bytes, expected at most " +
                                        std::to_string(kMaxSafetensorsHeaderBytes));
  }
  if (length > file.size() - kLengthBytes) {
    throw Error(Code::kCorruptFile, origin + ": truncated: header of " + std::to_string(length) +
                                        " bytes in a file of " + std::to_string(file.size()) +
                                        "; the download or copy was not finished");
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  SafetensorsHeader header =
      parse_safetensors_header(text, file.size() - kLengthBytes - length, origin);
  header.data_offset = kLengthBytes + length;
  return header;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(path), header_(parse_safetensors(file_.bytes(), path.string())) {}

TensorView SafetensorsFile::view(const SafetensorsEntry& entry) const {
  return {.data = file_.bytes().data() + header_.data_offset + entry.begin,
          .dtype = entry.dtype,
          .shape = entry.shape};
}

void SafetensorsFile::release_pages(const TensorView& view) const {
  file_.release_pages(static_cast<size_t>(view.data - file_.bytes().data()),
                      static_cast<size_t>(view.bytes()));
}

}  // namespace mxvideo::checkpoint
