// Shell-style patterns. Pure function.
#pragma once

#include <string_view>

namespace mxvideo {

// '*' and '?' match any characters, dots included.
bool glob_match(std::string_view pattern, std::string_view text);

}  // namespace mxvideo
