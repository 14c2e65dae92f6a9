#include "base/text/byte_size.h"

#include <array>
#include <cctype>
#include <charconv>
#include <string>

#include "base/checked.h"
#include "base/error.h"
#include "base/text/quote.h"

namespace mxvideo {
namespace {

struct Unit {
  std::string_view name;
  int64_t bytes;
};
constexpr std::array kUnits = {
    Unit{"", 1},
    Unit{"B", 1},
    Unit{"KB", 1000},
    Unit{"MB", 1'000'000},
    Unit{"GB", 1'000'000'000},
    Unit{"TB", 1'000'000'000'000},
    Unit{"KIB", 1 << 10},
    Unit{"MIB", 1 << 20},
    Unit{"GIB", 1 << 30},
    Unit{"TIB", int64_t{1} << 40},
};

}  // namespace

int64_t parse_byte_size(std::string_view text) {
  const auto fail = [&] {
    throw Error(Code::kInvalidArgument, "'" + printable(text) +
                                            "' is no size; expected a number and a unit, such as "
                                            "5GB, 500MB or 64KiB");
  };
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || number <= 0) fail();
  std::string unit;
  for (const char* c = rest; c != end; ++c) {
    if (*c != ' ') unit += static_cast<char>(std::toupper(static_cast<unsigned char>(*c)));
  }
  for (const Unit& known : kUnits) {
    if (unit == known.name) return checked_mul(number, known.bytes, "the size");
  }
  fail();
  return 0;
}

}  // namespace mxvideo
