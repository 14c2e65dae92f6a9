// Sizes as users write them; format_bytes() of base/text/format.h is the other way. Pure function.
#pragma once

#include <cstdint>
#include <string_view>

namespace mxvideo {

// "5GB", "500 MB", "64KiB", "1000000": decimal units, binary ones with an i. Throws
// Code::kInvalidArgument, also for zero.
int64_t parse_byte_size(std::string_view text);

}  // namespace mxvideo
