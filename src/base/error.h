// The one exception type of mxvideo.
//
// Thrown anywhere above the kernels when the outside world is wrong (file, request, memory,
// driver); caught in cli/main.cpp, which turns the code into an exit status, and at the server's
// request boundary. Immutable, so safe to pass between threads by exception_ptr.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace mxvideo {

enum class Code {
  kInternal,         // a contract inside this program is broken
  kInvalidArgument,  // a field of a request or an option has a value that cannot be used
  kNotFound,         // a file, model or revision is not there
  kCorruptFile,      // a file is there and does not hold what its format demands
  kUnsupported,      // valid input that this build does not run
  kDevice,           // the hardware or its driver cannot do it
  kOutOfMemory,
  kNumerics,   // NaN or infinity where numbers were expected
  kIo,         // disk full, permission, broken pipe
  kMismatch,   // a verification found a difference
  kCancelled,  // stopped on request
};

// Snake-case name of a code, as it appears in front of messages.
std::string_view code_name(Code code);

// `message` is one line: what, where, expected, got. Fields of a request and options in it are
// named by field() of base/text/field.h, which the fronts spell.
class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Code code() const { return code_; }
  // The first field that the message names; empty without one.
  std::string field() const;

 private:
  Code code_;
};

// Throws Code::kInternal with the caller's position when a programmer's contract is broken.
// For cold paths; kernels validate nothing.
void check(bool condition, std::string_view what, const char* file = __builtin_FILE(),
           int line = __builtin_LINE());

}  // namespace mxvideo
