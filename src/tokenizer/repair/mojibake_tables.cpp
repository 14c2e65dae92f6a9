#include "tokenizer/repair/mojibake_tables.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <unordered_map>

#include "tokenizer/unicode_text.h"

namespace mxvideo::tokenizer {
namespace {

struct CharacterClasses {
  char16_t character;
  uint32_t classes;
};

#include "tokenizer/repair/mojibake_tables.inc"

static_assert(kCodePages == kCodePageCount);

constexpr int kSloppyPages = 6;  // the first ones
constexpr char kSubstitute = 0x1a;

using Encoding = std::unordered_map<char32_t, unsigned char>;

std::array<Encoding, kCodePageCount> invert_code_pages() {
  std::array<Encoding, kCodePageCount> encodings;
  for (size_t page = 0; page < encodings.size(); ++page) {
    for (size_t i = 0; i < 128; ++i) {
      encodings[page][kCodePageHigh[page][i]] = static_cast<unsigned char>(0x80 + i);
    }
  }
  return encodings;
}

}  // namespace

uint32_t character_classes(char32_t character) {
  uint32_t classes = character == U'\n' ? 0u : uint32_t{kNotNewline};
  if (is_space(character)) classes |= kSpace;
  if (is_word(character)) classes |= kWord;
  if (character >= U'a' && character <= U'z') classes |= kLowerLatin;
  if (character >= U'A' && character <= U'Z') classes |= kUpperLatin;
  if ((classes & (kLowerLatin | kUpperLatin)) == 0) classes |= kNotLatin;
  const auto* found = std::lower_bound(
      std::begin(kCharacterClasses), std::end(kCharacterClasses), character,
      [](const CharacterClasses& entry, char32_t wanted) { return entry.character < wanted; });
  if (found != std::end(kCharacterClasses) && found->character == character) {
    classes |= found->classes;
  }
  return classes;
}

bool is_sloppy(int code_page) { return code_page < kSloppyPages; }

std::optional<std::string> encode_code_page(std::u32string_view text, int code_page) {
  static const std::array<Encoding, kCodePageCount> kEncodings = invert_code_pages();
  const Encoding& encoding = kEncodings[static_cast<size_t>(code_page)];
  std::string bytes;
  bytes.reserve(text.size());
  for (const char32_t character : text) {
    if (is_sloppy(code_page) && character == U'\ufffd') {
      bytes.push_back(kSubstitute);
    } else if (is_sloppy(code_page) && character == kSubstitute) {
      return {};
    } else if (character < 0x80) {
      bytes.push_back(static_cast<char>(character));
    } else {
      const auto found = encoding.find(character);
      if (found == encoding.end()) return {};
      bytes.push_back(static_cast<char>(found->second));
    }
  }
  return bytes;
}

char32_t decode_code_page(unsigned char byte, int code_page) {
  if (byte >= 0x80) return kCodePageHigh[code_page][byte - 0x80];
  return is_sloppy(code_page) && byte == kSubstitute ? U'\ufffd' : byte;
}

}  // namespace mxvideo::tokenizer
