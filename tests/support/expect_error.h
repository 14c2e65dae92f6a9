// Expecting an Error.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"

namespace mxvideo::test {

// Runs `action`, which must throw an Error of this code whose one-line message holds `fragment`;
// a test failure otherwise. `trace` tells cases of a table apart.
void expect_error_with(Code code, const std::string& fragment, const std::function<void()>& action,
                       const std::string& trace = "");

}  // namespace mxvideo::test
