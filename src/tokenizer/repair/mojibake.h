// Undoes wrong decodings: UTF-8 that was read as a single-byte encoding, once or several times.
// Thread-safe. Source: the behaviour of ftfy 6.3.1's fix_encoding with its default options.
#pragma once

#include <string>
#include <string_view>

namespace mxvideo::tokenizer {

// Throws Code::kInvalidArgument when the text still changes after kMaxFixingRounds rounds.
std::u32string fix_encoding(std::u32string_view text);

// C1 control characters become what Windows-1252 has in their place, where it has something.
std::u32string fix_c1_controls(std::u32string_view text);

// Bounds the work on text that was made to be decoded without end.
constexpr int kMaxFixingRounds = 64;

}  // namespace mxvideo::tokenizer
