// Input: 4 bytes number of data bytes (little endian), then header text. The text is parsed for
// that many data bytes, and the whole input as a file. An accepted header must tile its data.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

#include "base/error.h"
#include "checkpoint/safetensors.h"

namespace {

using mxvideo::checkpoint::SafetensorsEntry;
using mxvideo::checkpoint::SafetensorsHeader;

void require(bool condition) {
  if (!condition) std::abort();
}

void require_tiling(const SafetensorsHeader& header, uint64_t data_bytes) {
  uint64_t covered = 0;
  for (const SafetensorsEntry& entry : header.entries) {
    require(entry.begin == covered && entry.end >= entry.begin);
    const int64_t bytes = entry.shape.count() * mxvideo::dtype_size(entry.dtype);
    require(static_cast<uint64_t>(bytes) == entry.end - entry.begin);
    require(!entry.name.empty() && entry.name.find('\0') == std::string::npos);
    covered = entry.end;
  }
  require(covered == data_bytes);
}

template <class Parse>
void parse_and_check(Parse parse, uint64_t bytes_after_lead) {
  try {
    const SafetensorsHeader header = parse();
    require_tiling(header, bytes_after_lead - header.data_offset);
  } catch (const mxvideo::Error& error) {
    require(std::string_view(error.what()).find('\n') == std::string_view::npos);
    require(error.code() == mxvideo::Code::kCorruptFile ||
            error.code() == mxvideo::Code::kUnsupported);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  parse_and_check([&] { return mxvideo::checkpoint::parse_safetensors(file, "input"); }, size);
  uint32_t data_bytes = 0;
  if (size < sizeof(data_bytes)) return 0;
  std::memcpy(&data_bytes, data, sizeof(data_bytes));
  const std::string_view text(reinterpret_cast<const char*>(data) + sizeof(data_bytes),
                              size - sizeof(data_bytes));
  parse_and_check(
      [&] { return mxvideo::checkpoint::parse_safetensors_header(text, data_bytes, "input"); },
      data_bytes);
  return 0;
}
