// For the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/error.h"
#include "support/test_support.h"

namespace mxvideo::bench {

// `action` throws an Error of this code with `fragment` in its message.
inline void expect_refusal(Code code, const std::string& fragment,
                           const std::function<void()>& action) {
  const Error error = test::expect_error(action);
  EXPECT_EQ(error.code(), code) << error.what();
  EXPECT_NE(std::string(error.what()).find(fragment), std::string::npos) << error.what();
}

}  // namespace mxvideo::bench
