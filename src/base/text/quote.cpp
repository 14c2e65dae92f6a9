#include "base/text/quote.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <map>
#include <utility>

namespace mxvideo {
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

// "blocks.12.norm" is "blocks.", 12, ".norm"; number -1 when no part between dots is a number. What
// follows a space, as in "a.0.b (expected …)", belongs to no name.
struct Numbered {
  std::string_view before, after = {};
  int64_t number = -1;
};

Numbered split_at_number(std::string_view text) {
  const size_t end = std::min(text.find(' '), text.size());
  for (size_t begin = 0; begin < end;) {
    const size_t dot = std::min(text.find('.', begin), end);
    const std::string_view part = text.substr(begin, dot - begin);
    int64_t number = -1;
    const auto [last, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    // Leading zeros would be lost.
    const bool plain = !part.empty() && part[0] != '-' && (part[0] != '0' || part.size() == 1);
    if (plain && error == std::errc() && last == part.data() + part.size()) {
      return {.before = text.substr(0, begin), .after = text.substr(dot), .number = number};
    }
    begin = dot + 1;
  }
  return {.before = text};
}

struct NameGroup {
  Numbered parts;
  std::vector<int64_t> numbers;

  // "blocks.{0..3,7}.norm"
  std::string text() const {
    if (numbers.empty()) return std::string(parts.before);
    std::vector<int64_t> sorted = numbers;
    std::ranges::sort(sorted);
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    std::string ranges;
    for (size_t first = 0; first < sorted.size();) {
      size_t last = first;
      while (last + 1 < sorted.size() && sorted[last + 1] == sorted[last] + 1) ++last;
      if (!ranges.empty()) ranges += ',';
      ranges += std::to_string(sorted[first]);
      if (last > first) ranges += (last > first + 1 ? ".." : ",") + std::to_string(sorted[last]);
      first = last + 1;
    }
    if (sorted.size() > 1) ranges = "{" + ranges + "}";
    return std::string(parts.before) + ranges + std::string(parts.after);
  }
};

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
  std::vector<NameGroup> groups;  // in the order of their first names
  std::map<std::pair<std::string_view, std::string_view>, size_t> positions;
  for (const std::string& name : names) {
    const Numbered parts = split_at_number(name);
    if (parts.number < 0) {
      groups.push_back({.parts = {.before = name}, .numbers = {}});
      continue;
    }
    const auto [position, inserted] =
        positions.emplace(std::pair(parts.before, parts.after), groups.size());
    if (inserted) groups.push_back({.parts = parts, .numbers = {}});
    groups[position->second].numbers.push_back(parts.number);
  }
  std::string result;
  size_t shown = 0;
  for (size_t i = 0; i < std::min(groups.size(), limit); ++i) {
    if (i > 0) result += ", ";
    result += printable(groups[i].text());
    shown += std::max<size_t>(groups[i].numbers.size(), 1);
  }
  if (shown < names.size()) {
    result += ", … and " + std::to_string(names.size() - shown) + " more";
  }
  return result;
}

}  // namespace mxvideo
