#include "base/system/shared_library.h"

#include <fenv.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace mxvideo {
namespace {

struct Math {
  SharedLibrary library{"libm.so.6"};
  MXVIDEO_FUNCTION(fegetround);
};

TEST(SharedLibrary, FunctionsOfATableAreTheLibrarys) {
  EXPECT_EQ(Math().fegetround(), FE_TONEAREST);
}

TEST(SharedLibrary, OneThatIsNotThereIsNamed) {
  test::expect_error_with(Code::kUnsupported, "cannot load libmxvideo-none.so.3",
                          [] { SharedLibrary("libmxvideo-none.so.3"); });
}

TEST(SharedLibrary, AFunctionThatIsNotThereIsNamedWithItsLibrary) {
  const SharedLibrary library("libm.so.6");
  test::expect_error_with(Code::kUnsupported, "libm.so.6: expected the function mxvideo_none",
                          [&] { library.function<double(double)>("mxvideo_none"); });
}

}  // namespace
}  // namespace mxvideo
