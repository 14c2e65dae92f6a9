#include "base/checked.h"

#include <string>

#include "base/error.h"

namespace mxvideo {
namespace {

[[noreturn]] void overflow(std::string_view what) {
  throw Error(Code::kInvalidArgument, std::string(what) + ": size does not fit in 64 bits");
}

}  // namespace

int64_t checked_mul(int64_t a, int64_t b, std::string_view what) {
  int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) overflow(what);
  return result;
}

int64_t checked_add(int64_t a, int64_t b, std::string_view what) {
  int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) overflow(what);
  return result;
}

int64_t checked_product(std::initializer_list<int64_t> factors, std::string_view what) {
  int64_t result = 1;
  for (int64_t factor : factors) result = checked_mul(result, factor, what);
  return result;
}

}  // namespace mxvideo
