// Tables behind the mojibake heuristics: classes of the few hundred characters that occur in
// mojibake, and the single-byte code pages that cause it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mxvideo::tokenizer {

// Bits 0 to 18 are what tools/make_mojibake_tables.py writes; the rest is computed.
enum CharacterClass : uint32_t {
  kCommon = 1u << 0,
  kC1 = 1u << 1,  // U+0080 to U+009F
  kBad = 1u << 2,
  kLaw = 1u << 3,
  kCurrency = 1u << 4,
  kStartPunctuation = 1u << 5,
  kEndPunctuation = 1u << 6,
  kNumeric = 1u << 7,
  kKaomoji = 1u << 8,
  kUpperAccented = 1u << 9,
  kLowerAccented = 1u << 10,
  kUpperCommon = 1u << 11,
  kLowerCommon = 1u << 12,
  kBox = 1u << 13,
  kFirstOf2 = 1u << 14,  // stands for a UTF-8 lead byte of a two-byte sequence
  kFirstOf3 = 1u << 15,
  kFirstOf4 = 1u << 16,
  kContinuation = 1u << 17,        // stands for a continuation byte; a space may
  kContinuationStrict = 1u << 18,  // … and seldom stands for itself
  kSpace = 1u << 19,
  kWord = 1u << 20,
  kLowerLatin = 1u << 21,  // a to z
  kUpperLatin = 1u << 22,  // A to Z
  kNotLatin = 1u << 23,    // neither
  kNotNewline = 1u << 24,
};

uint32_t character_classes(char32_t character);

// Windows-1252, -1251, -1250, -1253, -1254, -1257, ISO 8859-2, Mac Roman, code page 437: the order
// in which mojibake is tried after Latin-1.
constexpr int kCodePageCount = 9;
constexpr int kWindows1252 = 0;
constexpr int kMacRoman = 7;

// The Windows pages are "sloppy": unassigned bytes stand for themselves and U+FFFD is byte 0x1A.
bool is_sloppy(int code_page);
std::optional<std::string> encode_code_page(std::u32string_view text, int code_page);
char32_t decode_code_page(unsigned char byte, int code_page);

}  // namespace mxvideo::tokenizer
