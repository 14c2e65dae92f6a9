#include "tokenizer/repair/html_entities.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "tokenizer/unicode_text.h"

namespace mxvideo::tokenizer {
namespace {

constexpr std::string_view kTable =
#include "tokenizer/repair/html_entities.inc"
    ;

constexpr size_t kLongestName = 32;          // that Python looks at, without the semicolon
constexpr size_t kLongestCompleteName = 24;  // that ftfy looks at, without & # ;

struct Entity {
  std::u32string text;
  bool legacy;  // also valid without semicolon
};

using Entities = std::unordered_map<std::string_view, Entity>;

Entities parse_table() {
  Entities entities;
  for (size_t begin = 0; begin < kTable.size();) {
    const size_t end = kTable.find(' ', begin);
    const std::string_view entry = kTable.substr(begin, end - begin);
    const size_t mark = entry.find_first_of("=!");
    std::u32string text(1, 0);
    for (const char digit : entry.substr(mark + 1)) {
      if (digit == ',') {
        text.push_back(0);
      } else {
        const int value = digit <= '9' ? digit - '0' : digit - 'A' + 10;
        text.back() = text.back() * 16 + static_cast<char32_t>(value);
      }
    }
    entities.emplace(entry.substr(0, mark), Entity{std::move(text), entry[mark] == '!'});
    begin = end + 1;
  }
  return entities;
}

const Entity* find_entity(std::string_view name) {
  static const Entities kEntities = parse_table();
  const auto found = kEntities.find(name);
  return found == kEntities.end() ? nullptr : &found->second;
}

bool is_ascii_digit(char32_t c) { return c >= U'0' && c <= U'9'; }

int hex_value(char32_t c) {
  if (is_ascii_digit(c)) return static_cast<int>(c - U'0');
  if (c >= U'a' && c <= U'f') return static_cast<int>(c - U'a' + 10);
  if (c >= U'A' && c <= U'F') return static_cast<int>(c - U'A' + 10);
  return -1;
}

// What bytes 0x80 to 0x9F of Windows-1252 stand for; unassigned ones for themselves.
constexpr char16_t kC1Replacements[32] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178};

// Zero or one character for a numeric reference.
std::u32string numeric_reference(uint32_t number) {
  if (number == 0 || number > 0x10ffff || (number >= 0xd800 && number <= 0xdfff)) return U"\ufffd";
  if (number >= 0x80 && number <= 0x9f) return {char32_t{kC1Replacements[number - 0x80]}};
  const bool control =
      (number < 0x20 && number != '\t' && number != '\n' && number != '\f' && number != '\r') ||
      number == 0x7f;
  const bool noncharacter = (number >= 0xfdd0 && number <= 0xfdef) || (number & 0xfffe) == 0xfffe;
  if (control || noncharacter) return {};
  return {static_cast<char32_t>(number)};
}

struct Match {
  size_t length = 0;  // characters of the source, 0 when there is no reference
  std::u32string text;
};

// "&#...", the semicolon being optional.
Match match_numeric(std::u32string_view text) {
  size_t position = 2;
  const bool hexadecimal = text.size() > 2 && (text[2] == U'x' || text[2] == U'X');
  if (hexadecimal) ++position;
  const size_t digits_begin = position;
  uint32_t number = 0;
  for (; position < text.size(); ++position) {
    const int digit = hex_value(text[position]);
    if (digit < 0 || (!hexadecimal && digit > 9)) break;
    number = std::min<uint32_t>(number * (hexadecimal ? 16 : 10) + static_cast<uint32_t>(digit),
                                0x110000);
  }
  if (position == digits_begin) return {};
  if (position < text.size() && text[position] == U';') ++position;
  return {position, numeric_reference(number)};
}

bool ends_name(char32_t c) {
  return c == U'\t' || c == U'\n' || c == U'\f' || c == U' ' || c == U'<' || c == U'&' ||
         c == U'#' || c == U';';
}

// "&name", "&name;" or the longest legacy name that "&name…" begins with.
Match match_named(std::u32string_view text) {
  std::string name;
  size_t position = 1;
  for (; position < text.size() && position <= kLongestName && !ends_name(text[position]);
       ++position) {
    // Names are ASCII, so nothing longer than the ASCII prefix can match.
    if (text[position] >= 0x80) break;
    name.push_back(static_cast<char>(text[position]));
  }
  const bool semicolon = position < text.size() && text[position] == U';';
  if (semicolon) {
    if (const Entity* entity = find_entity(name)) return {position + 1, entity->text};
  }
  for (size_t length = name.size(); length >= 2; --length) {
    const Entity* entity = find_entity(std::string_view(name).substr(0, length));
    if (entity != nullptr && entity->legacy) return {length + 1, entity->text};
  }
  return {};
}

Match match_reference(std::u32string_view text) {
  return text.size() > 1 && text[1] == U'#' ? match_numeric(text) : match_named(text);
}

// "&NTILDE;": the name exists in lower case only, and no legacy name begins the one in capitals.
std::optional<std::u32string> find_capitalised(const std::string& name) {
  std::string lower = name;
  for (char& c : lower) {
    if (c >= 'a' && c <= 'z') return {};
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const Entity* entity = find_entity(lower);
  if (entity == nullptr) return {};
  const std::u32string source = U"&" + std::u32string(name.begin(), name.end()) + U";";
  if (match_named(source).length != 0) return {};
  return to_upper(entity->text);
}

Match match_complete(std::u32string_view text) {
  size_t position = 1;
  const bool numeric = text.size() > 1 && text[1] == U'#';
  if (numeric) ++position;
  const size_t begin = position;
  std::string name;
  while (position < text.size() && position - begin < kLongestCompleteName) {
    const char32_t c = text[position];
    const bool letter = (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
    if (!letter && !is_ascii_digit(c)) break;
    name.push_back(static_cast<char>(c));
    ++position;
  }
  if (name.empty() || position >= text.size() || text[position] != U';') return {};
  const size_t length = position + 1;
  if (numeric) {
    Match match = match_numeric(text.substr(0, length));
    if (match.length != length || match.text == U";") return {};
    return match;
  }
  if (const Entity* entity = find_entity(name)) return {length, entity->text};
  if (auto upper = find_capitalised(name)) return {length, *upper};
  return {};
}

template <class Matcher>
std::u32string replace_references(std::u32string_view text, Matcher matcher) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t ampersand = std::min(text.find(U'&'), text.size());
    out += text.substr(0, ampersand);
    text.remove_prefix(ampersand);
    if (text.empty()) break;
    const Match match = matcher(text);
    if (match.length == 0) out.push_back(U'&');
    out += match.text;
    text.remove_prefix(std::max<size_t>(match.length, 1));
  }
  return out;
}

}  // namespace

std::u32string html_unescape(std::u32string_view text) {
  return replace_references(text, match_reference);
}

std::u32string unescape_complete_entities(std::u32string_view text) {
  return replace_references(text, match_complete);
}

}  // namespace mxvideo::tokenizer
