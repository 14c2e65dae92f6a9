#include "base/text/format.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace mxvideo {

std::string format_bytes(int64_t bytes) {
  struct Unit {
    int64_t bytes;
    const char* format;
  };
  constexpr std::array kUnits = {Unit{int64_t{1} << 40, "%.2f TiB"}, Unit{1 << 30, "%.2f GiB"},
                                 Unit{1 << 20, "%.1f MiB"}, Unit{1 << 10, "%.1f KiB"},
                                 Unit{1, "%.0f B"}};
  const auto unit =
      std::ranges::find_if(kUnits, [&](const Unit& each) { return bytes >= each.bytes; });
  const Unit& chosen = unit == kUnits.end() ? kUnits.back() : *unit;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), chosen.format,
                static_cast<double>(bytes) / static_cast<double>(chosen.bytes));
  return text.data();
}

std::string format_byte_rate(double bytes_per_second) {
  return format_bytes(std::llround(bytes_per_second)) + "/s";
}

std::string format_duration(double seconds) {
  const int64_t total = std::llround(std::max(0.0, seconds));
  const auto hours = static_cast<long long>(total / 3600);
  const auto minutes = static_cast<long long>(total / 60 % 60);
  const auto rest = static_cast<long long>(total % 60);
  std::array<char, 40> text{};
  if (hours > 0) {
    std::snprintf(text.data(), text.size(), "%lld:%02lld:%02lld", hours, minutes, rest);
  } else {
    std::snprintf(text.data(), text.size(), "%02lld:%02lld", minutes, rest);
  }
  return text.data();
}

std::string count_of(int64_t count, std::string_view one, std::string_view many) {
  std::string text = std::to_string(count) + " ";
  if (count == 1) return text.append(one);
  return many.empty() ? text.append(one) + "s" : text.append(many);
}

}  // namespace mxvideo
