// Names and excerpts from outside, made safe for one-line messages. Thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mxvideo {

// `text` with control characters and invalid bytes written as \xNN, cut after `limit` bytes.
std::string printable(std::string_view text, size_t limit = 200);

// "a, b, c" of at most `limit` entries, then ", … and N more" names. Names that differ in their
// first whole number between dots are one entry: "blocks.{0..29}.attn1.to_q.weight".
std::string name_list(const std::vector<std::string>& names, size_t limit = 12);

}  // namespace mxvideo
