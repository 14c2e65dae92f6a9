// Integer arithmetic that throws instead of wrapping, for sizes that come from outside.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace mxvideo {

// Each throws Code::kInvalidArgument naming `what` when the result leaves int64.
int64_t checked_mul(int64_t a, int64_t b, std::string_view what);
int64_t checked_add(int64_t a, int64_t b, std::string_view what);
int64_t checked_product(std::initializer_list<int64_t> factors, std::string_view what);

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

}  // namespace mxvideo
