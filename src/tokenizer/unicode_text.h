// Text as code points: strict UTF-8 in and out, and the character classes that Python's `re` and
// `str` use, taken from ICU. Pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mxvideo::tokenizer {

// Decodes one character at `position` and moves past it. Refuses what Unicode refuses: overlong
// forms, surrogates, values above U+10FFFF, truncated sequences; then returns nothing.
std::optional<char32_t> decode_utf8_character(std::string_view bytes, size_t& position);
std::optional<std::u32string> decode_utf8(std::string_view bytes);

// Precondition: no surrogates and nothing above U+10FFFF.
void append_utf8(std::string& out, char32_t character);
std::string encode_utf8(std::u32string_view text);

bool is_space(char32_t character);    // \s, str.isspace()
bool is_word(char32_t character);     // \w
bool is_decimal(char32_t character);  // \d

// Without leading and trailing white space, as str.strip().
std::u32string_view strip(std::u32string_view text);

// Unicode normalisation forms C and KC. Throw Code::kInternal when ICU lacks its data.
std::u32string normalize_nfc(std::u32string_view text);
std::u32string normalize_nfkc(std::u32string_view text);

// Full upper-casing without a locale: U+00DF becomes "SS".
std::u32string to_upper(std::u32string_view text);

}  // namespace mxvideo::tokenizer
