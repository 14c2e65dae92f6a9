// Bytes as lower-case hexadecimal digits. Pure function.
#pragma once

#include <span>
#include <string>

namespace mxvideo {

std::string to_hex(std::span<const unsigned char> bytes);

}  // namespace mxvideo
