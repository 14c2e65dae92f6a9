#include "tokenizer/repair/mojibake.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "tokenizer/repair/mojibake_detector.h"
#include "tokenizer/repair/mojibake_tables.h"
#include "tokenizer/unicode_text.h"

namespace mxvideo::tokenizer {
namespace {

struct ByteRange {
  unsigned char first = 0;
  unsigned char last = 0;
};

// One byte of a pattern: any of up to four ranges; an unused range is {0, 0}, as no pattern has
// the byte 0.
struct ByteSet {
  ByteRange ranges[4];

  bool contains(char c) const {
    const auto byte = static_cast<unsigned char>(c);
    return byte != 0 && std::any_of(std::begin(ranges), std::end(ranges), [&](ByteRange range) {
             return byte >= range.first && byte <= range.last;
           });
  }
};

using BytePattern = std::vector<ByteSet>;

constexpr ByteSet single(unsigned char byte) { return {{{byte, byte}}}; }

// Sequences of the first matching pattern become what `replace` makes of them.
template <class Replace>
std::string replace_bytes(std::string_view bytes, std::span<const BytePattern> patterns,
                          Replace replace) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t position = 0; position < bytes.size();) {
    const auto matches = [&](const BytePattern& pattern) {
      return bytes.size() - position >= pattern.size() &&
             std::equal(pattern.begin(), pattern.end(), bytes.begin() + static_cast<long>(position),
                        [](const ByteSet& set, char c) { return set.contains(c); });
    };
    const auto found = std::find_if(patterns.begin(), patterns.end(), matches);
    if (found == patterns.end()) {
      out.push_back(bytes[position++]);
    } else {
      out += replace(bytes.substr(position, found->size()));
      position += found->size();
    }
  }
  return out;
}

// UTF-8 in which the byte A0 became a space. The leads of short sequences are those that form
// likely characters; 85 is left out because it is an ellipsis more often.
const std::vector<BytePattern>& altered_utf8_patterns() {
  constexpr ByteSet kAny = {{{0x80, 0xbf}}};
  constexpr ByteSet kOther = {{{0x80, 0x84}, {0x86, 0x9f}, {0xa1, 0xbf}}};
  constexpr ByteSet kSpaceByte = single(' ');
  static const std::vector<BytePattern> kPatterns = {
      {ByteSet{{{0xc2, 0xc3}, {0xc5, 0xc5}, {0xce, 0xce}, {0xd0, 0xd0}}}, kSpaceByte},
      {single(0xd9), kSpaceByte},
      {ByteSet{{{0xe2, 0xe3}}}, kSpaceByte, kOther},
      {ByteSet{{{0xe0, 0xe3}}}, kOther, kSpaceByte},
      {single(0xf0), kSpaceByte, kAny, kAny},
      {single(0xf0), kAny, kSpaceByte, kAny},
      {single(0xf0), kAny, kAny, kSpaceByte},
  };
  return kPatterns;
}

// UTF-8 in which continuation bytes were lost: 1A marks a byte that became U+FFFD, and one "?" per
// sequence may.
const std::vector<BytePattern>& lossy_utf8_patterns() {
  constexpr ByteSet kLost = single(0x1a);
  constexpr ByteSet kLostOrMark = {{{0x1a, 0x1a}, {'?', '?'}}};
  constexpr ByteSet kLostOrKept = {{{0x1a, 0x1a}, {0x80, 0xbf}}};
  constexpr ByteSet kHigh = {{{0xa0, 0xaf}}};  // second byte of an encoded high surrogate
  constexpr ByteSet kLow = {{{0xb0, 0xbf}}};
  constexpr ByteSet kAnything = {{{0x1a, 0x1a}, {'?', '?'}, {0x80, 0xbf}}};
  constexpr ByteSet kLead3 = {{{0xe0, 0xef}}};
  constexpr ByteSet kLead4 = {{{0xf0, 0xf4}}};
  static const std::vector<BytePattern> kPatterns = {
      {ByteSet{{{0xc2, 0xdf}}}, kLost},
      {ByteSet{{{0xc2, 0xc3}}}, single('?')},
      {single(0xed), kHigh, kLostOrMark, single(0xed), kLow, kAnything},
      {single(0xed), kHigh, kAnything, single(0xed), kLow, kLostOrMark},
      {kLead3, kLostOrMark, kLostOrKept},
      {kLead3, kLostOrKept, kLostOrMark},
      {kLead4, kLostOrMark, kLostOrKept, kLostOrKept},
      {kLead4, kLostOrKept, kLostOrMark, kLostOrKept},
      {kLead4, kLostOrKept, kLostOrKept, kLostOrMark},
      {kLost},
  };
  return kPatterns;
}

// "Ã la" means "à la", not "àla": the space stays, except in the Portuguese contractions.
std::string restore_a_grave(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    out.push_back(bytes[i]);
    if (bytes[i] != '\xc3' || bytes.substr(i + 1, 1) != " ") continue;
    const std::string_view rest = bytes.substr(i + 2);
    const auto continues = [&](std::string_view word) { return rest.starts_with(word); };
    const std::string_view exceptions[] = {" ", "quele", "quela", "quilo", "s "};
    if (std::none_of(std::begin(exceptions), std::end(exceptions), continues)) {
      out.push_back('\xa0');
    }
  }
  return out;
}

std::string restore_byte_a0(std::string_view bytes) {
  bool altered = false;
  const auto restore = [&](std::string_view sequence) {
    altered = true;
    std::string restored(sequence);
    std::replace(restored.begin(), restored.end(), ' ', '\xa0');
    return restored;
  };
  replace_bytes(bytes, altered_utf8_patterns(), restore);
  if (!altered) return std::string(bytes);
  return replace_bytes(restore_a_grave(bytes), altered_utf8_patterns(), restore);
}

std::string mark_lost_sequences(std::string_view bytes) {
  return replace_bytes(bytes, lossy_utf8_patterns(),
                       [](std::string_view) { return std::string("\xef\xbf\xbd"); });
}

bool byte_in(std::string_view bytes, size_t index, unsigned char first, unsigned char last) {
  if (index >= bytes.size()) return false;
  const auto byte = static_cast<unsigned char>(bytes[index]);
  return byte >= first && byte <= last;
}

// A character above U+FFFF as two three-byte surrogates (CESU-8). As in the reference, a line
// break that ends the text may stand for the last byte.
std::optional<char32_t> decode_cesu8(std::string_view bytes) {
  const bool matches = byte_in(bytes, 0, 0xed, 0xed) && byte_in(bytes, 1, 0xa0, 0xaf) &&
                       byte_in(bytes, 2, 0x80, 0xbf) && byte_in(bytes, 3, 0xed, 0xed) &&
                       byte_in(bytes, 4, 0xb0, 0xbf) &&
                       (byte_in(bytes, 5, 0x80, 0xbf) || bytes.substr(5) == "\n");
  if (!matches) return {};
  const auto bits = [&](size_t index, unsigned mask) {
    return static_cast<char32_t>(static_cast<unsigned char>(bytes[index]) & mask);
  };
  return 0x10000 + (bits(1, 0x0f) << 16 | bits(2, 0x3f) << 10 | bits(4, 0x0f) << 6 | bits(5, 0x3f));
}

// UTF-8, and where bytes ED or C0 occur also CESU-8 and Java's C0 80 for U+0000.
std::optional<std::u32string> decode_utf8_variants(std::string_view bytes) {
  std::u32string out;
  out.reserve(bytes.size());
  for (size_t position = 0; position < bytes.size();) {
    const std::string_view rest = bytes.substr(position);
    if (rest.starts_with("\xc0\x80") || rest == "\xc0\n") {
      out.push_back(0);
      position += 2;
    } else if (const auto pair = decode_cesu8(rest)) {
      out.push_back(*pair);
      position += 6;
    } else if (const auto character = decode_utf8_character(bytes, position)) {
      out.push_back(*character);
    } else {
      return {};
    }
  }
  return out;
}

std::optional<std::string> encode_latin1(std::u32string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (const char32_t character : text) {
    if (character > 0xff) return {};
    bytes.push_back(static_cast<char>(character));
  }
  return bytes;
}

constexpr int kLatin1 = -1;  // beside the code pages 0 … kCodePageCount - 1

std::optional<std::u32string> reread_as_utf8(std::string bytes, int encoding) {
  // Not for Mac Roman, where an en dash and a space would match.
  if (encoding != kMacRoman) bytes = restore_byte_a0(bytes);
  if (encoding != kLatin1 && is_sloppy(encoding)) bytes = mark_lost_sequences(bytes);
  return decode_utf8_variants(bytes);
}

// Repairs runs that look like UTF-8 inside text that has no single explanation.
std::u32string fix_embedded(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const TextRange range = find_utf8_lookalike(text, position);
    out += text.substr(position, range.begin - position);
    const std::u32string_view run = text.substr(range.begin, range.end - range.begin);
    const bool fixable = run.size() < text.size() && looks_like_mojibake(run);
    out += fixable ? fix_encoding(run) : std::u32string(run);
    position = range.end;
  }
  return out;
}

// Latin-1 read as Windows-1252; nothing when a byte has no meaning there.
std::optional<std::u32string> latin1_as_windows1252(std::u32string_view text) {
  std::u32string out(text);
  for (char32_t& character : out) {
    if (character < 0x80) continue;
    const char32_t replacement =
        decode_code_page(static_cast<unsigned char>(character), kWindows1252);
    if (replacement <= 0x9f) return {};
    character = replacement;
  }
  return out;
}

bool is_c1(char32_t character) { return character >= 0x80 && character <= 0x9f; }

std::u32string fix_one_step(const std::u32string& text) {
  const bool ascii = std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x80; });
  if (ascii || !looks_like_mojibake(text)) return text;

  const std::optional<std::string> latin1 = encode_latin1(text);
  for (int encoding = kLatin1; encoding < kCodePageCount; ++encoding) {
    const auto bytes = encoding == kLatin1 ? latin1 : encode_code_page(text, encoding);
    if (!bytes) continue;
    if (auto fixed = reread_as_utf8(*bytes, encoding)) return *fixed;
  }

  std::u32string fixed = fix_embedded(text);
  if (fixed != text) return fixed;
  if (latin1) {
    const auto windows = latin1_as_windows1252(text);
    if (windows && *windows != text) return *windows;
  }
  return fix_c1_controls(text);
}

}  // namespace

std::u32string fix_c1_controls(std::u32string_view text) {
  std::u32string out(text);
  for (char32_t& character : out) {
    if (is_c1(character)) {
      character = decode_code_page(static_cast<unsigned char>(character), kWindows1252);
    }
  }
  return out;
}

std::u32string fix_encoding(std::u32string_view text) {
  std::u32string current(text);
  for (int round = 0; round < kMaxFixingRounds; ++round) {
    std::u32string fixed = fix_one_step(current);
    if (fixed == current) return current;
    current = std::move(fixed);
  }
  throw Error(Code::kInvalidArgument, "prompt: wrong character encoding nested more than " +
                                          std::to_string(kMaxFixingRounds) + " times");
}

}  // namespace mxvideo::tokenizer
