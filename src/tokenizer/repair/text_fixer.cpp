#include "tokenizer/repair/text_fixer.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "tokenizer/repair/html_entities.h"
#include "tokenizer/repair/mojibake.h"
#include "tokenizer/unicode_text.h"

namespace mxvideo::tokenizer {
namespace {

constexpr size_t kMaxSegment = 1'000'000;  // characters fixed at once when lines are longer

struct Ligature {
  char32_t character;
  std::u32string_view letters;
};

constexpr Ligature kLigatures[] = {
    {0x0132, U"IJ"},      {0x0133, U"ij"},      {0x0149, U"\u02bcn"}, {0x01c4, U"D\u017d"},
    {0x01c5, U"D\u017e"}, {0x01c6, U"d\u017e"}, {0x01c7, U"LJ"},      {0x01c8, U"Lj"},
    {0x01c9, U"lj"},      {0x01ca, U"NJ"},      {0x01cb, U"Nj"},      {0x01cc, U"nj"},
    {0x01f1, U"DZ"},      {0x01f2, U"Dz"},      {0x01f3, U"dz"},      {0xfb00, U"ff"},
    {0xfb01, U"fi"},      {0xfb02, U"fl"},      {0xfb03, U"ffi"},     {0xfb04, U"ffl"},
    {0xfb05, U"\u017ft"}, {0xfb06, U"st"},
};

void append_without_ligature(std::u32string& out, char32_t character) {
  for (const Ligature& ligature : kLigatures) {
    if (ligature.character == character) {
      out += ligature.letters;
      return;
    }
  }
  out.push_back(character);
}

constexpr char32_t kFirstWidthForm = 0xff01;
constexpr char32_t kLastWidthForm = 0xffef;

// Standard forms of U+FF01 to U+FFEF (full-width ASCII, half-width katakana and hangul).
const std::u32string& standard_width(char32_t character) {
  using Table = std::array<std::u32string, kLastWidthForm - kFirstWidthForm + 1>;
  static const Table kTable = [] {
    Table forms;
    for (size_t i = 0; i < forms.size(); ++i) {
      forms[i] = normalize_nfkc({std::u32string(1, kFirstWidthForm + static_cast<char32_t>(i))});
    }
    return forms;
  }();
  return kTable[character - kFirstWidthForm];
}

void append_standard_width(std::u32string& out, char32_t character) {
  if (character == 0x3000) {
    out.push_back(U' ');
  } else if (character >= kFirstWidthForm && character <= kLastWidthForm) {
    out += standard_width(character);
  } else {
    out.push_back(character);
  }
}

char32_t uncurl_quote(char32_t c) {
  if (c == 0x02bc || (c >= 0x2018 && c <= 0x201b)) return U'\'';
  return c >= 0x201c && c <= 0x201f ? U'"' : c;
}

std::u32string fix_line_breaks(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    const bool crlf = c == U'\r' && i + 1 < text.size() && text[i + 1] == U'\n';
    if (crlf) continue;
    const bool line_break = c == U'\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
    out.push_back(line_break ? U'\n' : c);
  }
  return out;
}

// Length of "ESC [ digits and semicolons, letter" at the start of `text`, or 0.
size_t terminal_escape_length(std::u32string_view text) {
  if (!text.starts_with(U"\033[")) return 0;
  size_t end = 2;
  while (end < text.size() && (text[end] == U';' || is_decimal(text[end]))) ++end;
  if (end == text.size()) return 0;
  const char32_t c = text[end];
  const bool letter = (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
  return letter ? end + 1 : 0;
}

std::u32string remove_terminal_escapes(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t escape = terminal_escape_length(text);
    if (escape == 0) out.push_back(text.front());
    text.remove_prefix(std::max<size_t>(escape, 1));
  }
  return out;
}

bool is_unwanted_control(char32_t c) {
  return c <= 0x08 || c == 0x0b || (c >= 0x0e && c <= 0x1f) || c == 0x7f ||
         (c >= 0x206a && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffc);
}

// The reference also joins surrogate pairs; no step before can produce a surrogate here.
std::u32string fix_characters(std::u32string_view text) {
  std::u32string separate;
  separate.reserve(text.size());
  for (const char32_t c : text) append_without_ligature(separate, c);
  std::u32string standard;
  standard.reserve(separate.size());
  for (const char32_t c : separate) append_standard_width(standard, c);
  std::transform(standard.begin(), standard.end(), standard.begin(), uncurl_quote);
  std::u32string fixed = remove_terminal_escapes(fix_line_breaks(standard));
  std::erase_if(fixed, is_unwanted_control);
  return fixed;
}

std::u32string fix_segment(std::u32string_view segment, bool unescape_html) {
  std::u32string text(segment);
  for (int round = 0; round < kMaxFixingRounds; ++round) {
    std::u32string fixed = unescape_html ? unescape_complete_entities(text) : text;
    fixed = fix_c1_controls(fix_encoding(fixed));
    fixed = normalize_nfc(fix_characters(fixed));
    if (fixed == text) return text;
    text = std::move(fixed);
  }
  throw Error(Code::kInvalidArgument, "prompt: HTML entities or encodings nested more than " +
                                          std::to_string(kMaxFixingRounds) + " times");
}

}  // namespace

std::u32string fix_text(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  // A literal "<" means that this is HTML and its entities are meant; it counts for all that
  // follows.
  bool unescape_html = true;
  while (!text.empty()) {
    const size_t line_end = text.find(U'\n');
    const size_t length = std::min(line_end == text.npos ? text.size() : line_end + 1, kMaxSegment);
    const std::u32string_view segment = text.substr(0, length);
    unescape_html = unescape_html && segment.find(U'<') == segment.npos;
    out += fix_segment(segment, unescape_html);
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace mxvideo::tokenizer
