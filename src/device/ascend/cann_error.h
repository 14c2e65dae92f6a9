// CANN's statuses as errors: the function, its arguments in words, and CANN's own recent message.
#pragma once

#include <string>

#include "device/ascend/cann_library.h"

namespace mxvideo::ascend {

// Throws Code::kOutOfMemory for the statuses of exhausted memory, else Code::kDevice. `what` says
// what was asked for: "of 4096 bytes".
[[noreturn]] void fail(const CannFunctions& cann, const std::string& function,
                       const std::string& what, int32_t status);

inline void expect_success(const CannFunctions& cann, const char* function, int32_t status) {
  if (status != 0) fail(cann, function, "", status);
}

}  // namespace mxvideo::ascend
