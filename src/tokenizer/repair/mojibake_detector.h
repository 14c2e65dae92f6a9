// Recognises text that was decoded with the wrong character set ("Ã©" for "é"). Thread-safe.
// Source: the heuristic and the character classes of ftfy 6.3.1 (badness, UTF-8 clues).
#pragma once

#include <cstddef>
#include <string_view>

namespace mxvideo::tokenizer {

// True when some juxtaposition of characters is far more likely to be mojibake than meant.
bool looks_like_mojibake(std::u32string_view text);

struct TextRange {
  size_t begin = 0;
  size_t end = 0;  // == begin: nothing found
};

// The first run at or after `from` that reads like UTF-8 bytes shown in a single-byte encoding.
TextRange find_utf8_lookalike(std::u32string_view text, size_t from);

}  // namespace mxvideo::tokenizer
