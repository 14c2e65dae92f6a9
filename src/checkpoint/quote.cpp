#include "checkpoint/quote.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace mxvideo::checkpoint {
namespace {

// Bytes of the well-formed UTF-8 sequence at the start of `text`; 0 when there is none.
// Source: Unicode 15, table 3-7.
size_t utf8_sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const auto within = [&](size_t i, uint8_t low, uint8_t high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return within(1, 0x80, 0xbf) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const uint8_t low = lead == 0xe0 ? 0xa0 : 0x80;
    const uint8_t high = lead == 0xed ? 0x9f : 0xbf;
    return within(1, low, high) && within(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const uint8_t low = lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xf4 ? 0x8f : 0xbf;
    return within(1, low, high) && within(2, 0x80, 0xbf) && within(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string printable(std::string_view text, size_t limit) {
  std::string result;
  while (!text.empty()) {
    const size_t length = utf8_sequence_length(text);
    const auto lead = static_cast<uint8_t>(text[0]);
    const bool plain = length > 1 || (length == 1 && lead >= 0x20 && lead != 0x7f);
    if (result.size() + std::max<size_t>(length, 4) > limit) return result + "…";
    if (plain) {
      result.append(text.substr(0, length));
    } else {
      std::array<char, 5> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\x%02x", static_cast<unsigned>(lead));
      result += escaped.data();
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return result;
}

std::string name_list(const std::vector<std::string>& names, size_t limit) {
  std::string result;
  const size_t shown = std::min(names.size(), limit);
  for (size_t i = 0; i < shown; ++i) {
    if (i > 0) result += ", ";
    result += printable(names[i]);
  }
  if (shown < names.size()) {
    result += ", … and " + std::to_string(names.size() - shown) + " more";
  }
  return result;
}

}  // namespace mxvideo::checkpoint
