// Pieces of HTML that are also well-formed XML. Pure functions; thread-safe.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace mxvideo::evaluation {

// Text for an element or a quoted attribute. Bytes that are not UTF-8 and control characters are
// written as \xNN.
std::string escape_html(std::string_view text);

// <img> with the bytes in it: "image/png", "image/svg+xml". `alternative` is escaped here.
std::string inline_image(std::string_view type, std::string_view bytes,
                         std::string_view alternative);
std::string inline_image(std::string_view type, std::span<const std::byte> bytes,
                         std::string_view alternative);

}  // namespace mxvideo::evaluation
