#include "tokenizer/unicode_text.h"

#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <cstdint>

#include "base/error.h"

namespace mxvideo::tokenizer {
namespace {

icu::UnicodeString to_icu(std::u32string_view text) {
  check(text.size() < (size_t{1} << 30), "text fits into ICU's lengths");
  return icu::UnicodeString::fromUTF32(reinterpret_cast<const UChar32*>(text.data()),
                                       static_cast<int32_t>(text.size()));
}

std::u32string from_icu(const icu::UnicodeString& text) {
  std::u32string out;
  out.reserve(static_cast<size_t>(text.length()));
  for (int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    out.push_back(static_cast<char32_t>(text.char32At(i)));
  }
  return out;
}

std::u32string normalize(const icu::Normalizer2* normalizer, UErrorCode status,
                         std::u32string_view text) {
  icu::UnicodeString result;
  if (U_SUCCESS(status)) result = normalizer->normalize(to_icu(text), status);
  check(U_SUCCESS(status) != 0, "ICU normalises");
  return from_icu(result);
}

int continuation_count(unsigned char lead) {
  if (lead < 0x80) return 0;
  if (lead < 0xc2) return -1;
  if (lead < 0xe0) return 1;
  if (lead < 0xf0) return 2;
  return lead < 0xf5 ? 3 : -1;
}

}  // namespace

std::optional<char32_t> decode_utf8_character(std::string_view bytes, size_t& position) {
  const auto lead = static_cast<unsigned char>(bytes[position]);
  const int following = continuation_count(lead);
  if (following < 0 || bytes.size() - position <= static_cast<size_t>(following)) return {};
  constexpr unsigned char kLeadMask[] = {0x7f, 0x1f, 0x0f, 0x07};
  constexpr char32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
  char32_t character = lead & kLeadMask[following];
  for (int i = 1; i <= following; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[position + static_cast<size_t>(i)]);
    if ((byte & 0xc0) != 0x80) return {};
    character = character << 6 | (byte & 0x3f);
  }
  const bool surrogate = character >= 0xd800 && character <= 0xdfff;
  if (character < kSmallest[following] || surrogate || character > 0x10ffff) return {};
  position += static_cast<size_t>(following) + 1;
  return character;
}

std::optional<std::u32string> decode_utf8(std::string_view bytes) {
  std::u32string out;
  out.reserve(bytes.size());
  for (size_t position = 0; position < bytes.size();) {
    const auto character = decode_utf8_character(bytes, position);
    if (!character) return {};
    out.push_back(*character);
  }
  return out;
}

void append_utf8(std::string& out, char32_t character) {
  if (character < 0x80) {
    out.push_back(static_cast<char>(character));
  } else if (character < 0x800) {
    out.push_back(static_cast<char>(0xc0 | character >> 6));
    out.push_back(static_cast<char>(0x80 | (character & 0x3f)));
  } else if (character < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | character >> 12));
    out.push_back(static_cast<char>(0x80 | (character >> 6 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (character & 0x3f)));
  } else {
    out.push_back(static_cast<char>(0xf0 | character >> 18));
    out.push_back(static_cast<char>(0x80 | (character >> 12 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (character >> 6 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (character & 0x3f)));
  }
}

std::string encode_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t character : text) append_utf8(out, character);
  return out;
}

bool is_space(char32_t character) {
  if (character < 0x80) {
    return (character >= 0x09 && character <= 0x0d) || (character >= 0x1c && character <= 0x20);
  }
  return u_isUWhiteSpace(static_cast<UChar32>(character)) != 0;
}

bool is_word(char32_t character) {
  if (character == U'_') return true;
  const uint32_t mask = U_GET_GC_MASK(static_cast<UChar32>(character));
  return (mask & (U_GC_L_MASK | U_GC_N_MASK)) != 0;
}

bool is_decimal(char32_t character) {
  return u_charType(static_cast<UChar32>(character)) == U_DECIMAL_DIGIT_NUMBER;
}

std::u32string_view strip(std::u32string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::u32string normalize_nfc(std::u32string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  return normalize(icu::Normalizer2::getNFCInstance(status), status, text);
}

std::u32string normalize_nfkc(std::u32string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  return normalize(icu::Normalizer2::getNFKCInstance(status), status, text);
}

std::u32string to_upper(std::u32string_view text) {
  return from_icu(to_icu(text).toUpper(icu::Locale::getRoot()));
}

}  // namespace mxvideo::tokenizer
