// Repairs common damage in text: mojibake, HTML entities, terminal escapes, ligatures, full-width
// letters, curly quotes, odd line breaks, control characters, decomposed letters. Thread-safe.
// Source: the behaviour of ftfy 6.3.1's fix_text with its default options.
#pragma once

#include <string>
#include <string_view>

namespace mxvideo::tokenizer {

// Works line by line. Throws Code::kInvalidArgument when a line still changes after
// kMaxFixingRounds rounds (entities nested without end).
std::u32string fix_text(std::u32string_view text);

}  // namespace mxvideo::tokenizer
