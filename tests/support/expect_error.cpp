#include "support/expect_error.h"

#include <gtest/gtest.h>

#include "support/test_support.h"

namespace mxvideo::test {

void expect_error_with(Code code, const std::string& fragment, const std::function<void()>& action,
                       const std::string& trace) {
  const testing::ScopedTrace scope(__FILE__, __LINE__, trace.empty() ? fragment : trace);
  const Error error = mxvideo::test::expect_error(action);
  const std::string message = error.what();
  EXPECT_EQ(code_name(error.code()), code_name(code)) << message;
  EXPECT_NE(message.find(fragment), std::string::npos)
      << "expected '" << fragment << "' in: " << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

}  // namespace mxvideo::test
