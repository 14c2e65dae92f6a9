#include "base/error.h"

#include "base/text/field.h"

namespace mxvideo {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kInternal:
      return "internal";
    case Code::kInvalidArgument:
      return "invalid_argument";
    case Code::kNotFound:
      return "not_found";
    case Code::kCorruptFile:
      return "corrupt_file";
    case Code::kUnsupported:
      return "unsupported";
    case Code::kDevice:
      return "device";
    case Code::kOutOfMemory:
      return "out_of_memory";
    case Code::kNumerics:
      return "numerics";
    case Code::kIo:
      return "io";
    case Code::kMismatch:
      return "mismatch";
    case Code::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

std::string Error::field() const { return first_field(what()); }

void check(bool condition, std::string_view what, const char* file, int line) {
  if (condition) return;
  throw Error(Code::kInternal, std::string(file) + ":" + std::to_string(line) +
                                   ": broken contract: " + std::string(what));
}

}  // namespace mxvideo
