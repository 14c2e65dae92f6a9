#include "tokenizer/prompt_cleaner.h"

#include "base/error.h"
#include "tokenizer/repair/html_entities.h"
#include "tokenizer/repair/text_fixer.h"
#include "tokenizer/unicode_text.h"

namespace mxvideo::tokenizer {
namespace {

std::u32string decode_prompt(std::string_view prompt) {
  std::u32string text;
  text.reserve(prompt.size());
  for (size_t position = 0; position < prompt.size();) {
    const auto character = decode_utf8_character(prompt, position);
    if (!character) {
      throw Error(Code::kInvalidArgument,
                  "prompt: invalid UTF-8 at byte " + std::to_string(position));
    }
    text.push_back(*character);
  }
  return text;
}

std::u32string collapse_white_space(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  bool in_space = false;
  for (const char32_t character : text) {
    const bool space = is_space(character);
    if (!space) out.push_back(character);
    if (space && !in_space) out.push_back(U' ');
    in_space = space;
  }
  return out;
}

}  // namespace

std::string clean_prompt(std::string_view prompt) {
  const std::u32string unescaped = html_unescape(html_unescape(fix_text(decode_prompt(prompt))));
  return encode_utf8(collapse_white_space(strip(unescaped)));
}

}  // namespace mxvideo::tokenizer
