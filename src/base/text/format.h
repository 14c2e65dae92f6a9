// Quantities as messages and tables write them: one unit system, binary for bytes. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mxvideo {

// "36 B", "11.0 KiB", "12.3 MiB", "14.97 GiB": units of 1024 (IEC 80000-13).
std::string format_bytes(int64_t bytes);

// The same per second.
std::string format_byte_rate(double bytes_per_second);

// "00:31", "1:02:03".
std::string format_duration(double seconds);

// "1 step", "2 steps"; `many` where that is not `one` with an s.
std::string count_of(int64_t count, std::string_view one, std::string_view many = {});

}  // namespace mxvideo
