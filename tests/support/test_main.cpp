// main() of every test binary. Prints how many tests were skipped, and fails when a skipped one
// needs only what MXVIDEO_REQUIRE (a list of CPU features and of "mount", e.g. "avx2,mount") says
// this machine must have. A test announces what it misses with require_cpu() or require_mount()
// of test_support.h.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "support/test_support.h"

// Read by LeakSanitizer. libx265 keeps what it allocates once for a process.
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_suppressions() { return "leak:libx265\n"; }

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const int failed = RUN_ALL_TESTS();
  const auto skips = mxvideo::test::skipped_checks();
  if (!skips.empty()) {
    std::cout << "[ SKIPS    ] " << skips.size() << " checks not run on this machine:\n";
    for (const std::string& skip : skips) std::cout << "             " << skip << "\n";
  }
  const bool missed = mxvideo::test::required_check_was_skipped();
  if (missed) std::cout << "[  FAILED  ] MXVIDEO_REQUIRE demands checks that were skipped\n";
  return failed != 0 || missed ? 1 : 0;
}
