#include "convert/layout.h"

#include <array>
#include <cctype>
#include <charconv>

#include "base/checked.h"
#include "base/error.h"
#include "base/text/field.h"
#include "base/text/quote.h"

namespace mxvideo::convert {
namespace {

using checkpoint::WanVariant;

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

std::string_view layout_name(Layout layout) {
  switch (layout) {
    case Layout::kModelSlim:
      return "modelslim";
    case Layout::kDiffusers:
      return "diffusers";
    case Layout::kComfy:
      return "comfy";
  }
  return "unknown";
}

Layout parse_layout(std::string_view name) {
  if (name == "modelslim" || name == "original") return Layout::kModelSlim;
  if (name == "diffusers") return Layout::kDiffusers;
  if (name == "comfy") return Layout::kComfy;
  throw Error(Code::kInvalidArgument, field("layout") + ": unknown layout '" + printable(name) +
                                          "'; expected modelslim, diffusers or comfy");
}

std::string_view model_type_name(WanVariant variant) {
  switch (variant) {
    case WanVariant::kT2V:
      return "Wan2.2-T2V-A14B";
    case WanVariant::kI2V:
      return "Wan2.2-I2V-A14B";
    case WanVariant::kTI2V:
      return "Wan2.2-TI2V-5B";
  }
  return "unknown";
}

WanVariant parse_model_type(std::string_view name) {
  for (const WanVariant variant : {WanVariant::kT2V, WanVariant::kI2V, WanVariant::kTI2V}) {
    if (name == model_type_name(variant)) return variant;
  }
  throw Error(Code::kInvalidArgument,
              field("model_type") + ": unknown type '" + printable(name) +
                  "'; expected Wan2.2-T2V-A14B, Wan2.2-I2V-A14B or Wan2.2-TI2V-5B");
}

bool has_two_experts(WanVariant variant) { return variant != WanVariant::kTI2V; }

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

}  // namespace mxvideo::convert
