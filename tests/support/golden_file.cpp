#include "support/golden_file.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace mxvideo::test {
namespace {

size_t dtype_bytes(std::string_view dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "U8" || dtype == "I8" || dtype == "BOOL" || dtype.starts_with("F8_")) return 1;
  return 0;
}

float widen_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// By arithmetic, unlike formats/half.h, which these files are there to test.
float widen_fp16(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const auto mantissa = static_cast<float>(bits & 1023);
  float magnitude;
  if (exponent == 31) {
    magnitude = (bits & 1023) == 0 ? HUGE_VALF : NAN;
  } else if (exponent == 0) {
    magnitude = std::ldexp(mantissa, -24);
  } else {
    magnitude = std::ldexp(1024.0f + mantissa, exponent - 25);
  }
  return (bits & 0x8000) ? -magnitude : magnitude;
}

}  // namespace

std::string golden_path(std::string_view relative) {
  return relative.starts_with('/') ? std::string(relative)
                                   : MXVIDEO_GOLDEN_DIR "/" + std::string(relative);
}

GoldenFile::GoldenFile(std::string_view relative) : path_(golden_path(relative)) {
  std::ifstream stream(path_, std::ios::binary | std::ios::ate);
  if (!stream) throw std::runtime_error(path_ + ": cannot open");
  bytes_.resize(static_cast<size_t>(stream.tellg()));
  stream.seekg(0);
  stream.read(reinterpret_cast<char*>(bytes_.data()), static_cast<std::streamsize>(bytes_.size()));
  uint64_t header_size = 0;
  if (!stream || bytes_.size() < sizeof(header_size)) throw std::runtime_error(path_ + ": short");
  std::memcpy(&header_size, bytes_.data(), sizeof(header_size));
  if (header_size > bytes_.size() - sizeof(header_size)) {
    throw std::runtime_error(path_ + ": header longer than the file");
  }
  const auto* text = reinterpret_cast<const char*>(bytes_.data()) + sizeof(header_size);
  parse_header({text, static_cast<size_t>(header_size)}, sizeof(header_size) + header_size);
}

void GoldenFile::parse_header(const std::string& header, size_t data_offset) {
  const nlohmann::json root = nlohmann::json::parse(header);
  for (const auto& [name, value] : root.items()) {
    if (name == "__metadata__") {
      metadata_ = value.get<std::map<std::string, std::string>>();
      continue;
    }
    Entry entry{.dtype = value.at("dtype").get<std::string>(),
                .shape = value.at("shape").get<std::vector<int64_t>>()};
    const auto offsets = value.at("data_offsets").get<std::vector<size_t>>();
    size_t expected = dtype_bytes(entry.dtype);
    for (const int64_t extent : entry.shape) expected *= static_cast<size_t>(extent);
    if (offsets.size() != 2 || offsets[1] > bytes_.size() - data_offset ||
        offsets[0] > offsets[1] || offsets[1] - offsets[0] != expected) {
      throw std::runtime_error(path_ + ": " + name + ": offsets do not fit dtype and shape");
    }
    entry.begin = data_offset + offsets[0];
    entry.end = data_offset + offsets[1];
    entries_.emplace(name, std::move(entry));
  }
}

bool GoldenFile::has(const std::string& name) const { return entries_.contains(name); }

std::vector<std::string> GoldenFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, unused] : entries_) names.push_back(name);
  return names;
}

std::vector<int64_t> GoldenFile::shape(const std::string& name) const { return entry(name).shape; }

std::string GoldenFile::dtype(const std::string& name) const { return entry(name).dtype; }

const GoldenFile::Entry& GoldenFile::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) throw std::runtime_error(path_ + ": no tensor '" + name + "'");
  return found->second;
}

// `dtypes` is a list in which every name is followed by a space.
const GoldenFile::Entry& GoldenFile::entry_of(const std::string& name,
                                              std::string_view dtypes) const {
  const Entry& found = entry(name);
  if ((" " + std::string(dtypes)).find(" " + found.dtype + " ") == std::string::npos) {
    throw std::runtime_error(path_ + ": " + name + " is " + found.dtype + ", expected one of " +
                             std::string(dtypes));
  }
  return found;
}

template <class T>
std::vector<T> GoldenFile::copy(const Entry& entry) const {
  std::vector<T> values((entry.end - entry.begin) / sizeof(T));
  if (!values.empty())
    std::memcpy(values.data(), bytes_.data() + entry.begin, values.size() * sizeof(T));
  return values;
}

std::vector<float> GoldenFile::f32(const std::string& name) const {
  const Entry& found = entry_of(name, "F32 BF16 F16 ");
  if (found.dtype == "F32") return copy<float>(found);
  std::vector<float> values;
  for (const uint16_t bits : copy<uint16_t>(found)) {
    values.push_back(found.dtype == "BF16" ? widen_bf16(bits) : widen_fp16(bits));
  }
  return values;
}

std::vector<double> GoldenFile::f64(const std::string& name) const {
  return copy<double>(entry_of(name, "F64 "));
}

std::vector<uint8_t> GoldenFile::u8(const std::string& name) const {
  return copy<uint8_t>(entry_of(name, "U8 BOOL F8_E4M3 F8_E5M2 F8_E8M0 "));
}

std::vector<uint16_t> GoldenFile::u16(const std::string& name) const {
  return copy<uint16_t>(entry_of(name, "U16 I16 BF16 F16 "));
}

std::vector<uint32_t> GoldenFile::u32(const std::string& name) const {
  return copy<uint32_t>(entry_of(name, "U32 I32 F32 "));
}

std::vector<int32_t> GoldenFile::i32(const std::string& name) const {
  return copy<int32_t>(entry_of(name, "I32 "));
}

std::vector<int64_t> GoldenFile::i64(const std::string& name) const {
  return copy<int64_t>(entry_of(name, "I64 "));
}

}  // namespace mxvideo::test
