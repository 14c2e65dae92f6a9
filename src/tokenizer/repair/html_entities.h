// HTML5 character references. Thread-safe.
// Source: the HTML standard (named references, numeric references, longest-prefix rule) as
// Python's html.unescape applies it.
#pragma once

#include <string>
#include <string_view>

namespace mxvideo::tokenizer {

// Replaces every reference, also numeric ones without semicolon and legacy names without
// semicolon; numbers that are no character become U+FFFD or nothing.
std::u32string html_unescape(std::u32string_view text);

// The careful variant of ftfy: only references that end in a semicolon, and in addition names in
// capitals ("&NTILDE;") where only a lower-case name exists.
std::u32string unescape_complete_entities(std::u32string_view text);

}  // namespace mxvideo::tokenizer
