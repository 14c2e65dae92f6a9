// JSON as text for a file or a terminal. Thread-safe.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace mxvideo::cli {

// Two blanks per level, or one line with a negative `indent`. Fields that messages name are spelled
// as flags; bytes that are no UTF-8, which file names may hold and JSON may not, become U+FFFD.
std::string to_text(nlohmann::ordered_json json, int indent = 2);

}  // namespace mxvideo::cli
