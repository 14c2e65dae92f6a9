// Calls to the file system fail once, in every way, while `mxvideo quantize` and `mxvideo repack`
// write: afterwards there is the old result or the whole new one, and a plain rerun ends with the
// same bytes. The calls are those below the directory of the output (support/fault_shim.cpp).
//
// MXVIDEO_FAULT_STRIDE: errors hit every so-manyth call (default 13), the rest half as many. The
// four conversions, and the two errors, start at different calls.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "base/file/atomic_file.h"
#include "fault/conversion_fixture.h"
#include "support/fault_injection.h"

namespace mxvideo::test {
namespace {

int64_t stride() {
  const char* text = std::getenv("MXVIDEO_FAULT_STRIDE");
  return text == nullptr ? 13 : std::max(1, std::atoi(text));
}

constexpr int64_t kCommitCalls = 40;  // at the end of a run

class ConversionFaults : public ConversionFixture {
 protected:
  // Closing what was only read or is synced already, and removing the journal of a finished job.
  static bool may_fail_unnoticed(const std::string& call) {
    return call == "close" || call == "unlink";
  }

  // Returns how many of the runs did not end with exit status 0.
  int try_calls(const std::string& mode, int error, int64_t step, int64_t phase) const {
    start_over();
    const int64_t calls = count_calls(command(), work());
    EXPECT_GT(calls, 100);
    const std::filesystem::path call_file = root() / "call";
    phase += (GetParam().overwrite ? 2 : 0) + (GetParam().command == "repack" ? 4 : 0);
    const int64_t first = 1 + phase % step;
    // Every call of the end of the run, where the names change, counts for the first kind of kill.
    const int64_t body = mode == "kill-before" ? calls - kCommitCalls : calls;
    const auto next = [&](int64_t at) {
      return at > body ? at + 1 : std::min(at + step, body + 1);
    };
    int runs = 0;
    int failed = 0;
    for (int64_t at = first; at <= calls && !HasFailure(); at = next(at)) {
      SCOPED_TRACE(mode + " at call " + std::to_string(at) + ", errno " + std::to_string(error));
      start_over();
      ProcessOptions options = command();
      options.environment["FAULT_CALL_FILE"] = call_file.string();
      const Fault fault{.directory = work(), .mode = mode, .at = at, .error = error};
      const ProcessResult result = run_with_fault(std::move(options), fault);
      ++runs;
      if (result.exit_code != 0) ++failed;
      if (result.exit_code == 0 && mode == "error") {
        const std::string call = read_file(call_file, 100);
        EXPECT_TRUE(may_fail_unnoticed(call)) << call;
      }
      expect_old_or_new(result, error == 0 ? "" : std::strerror(error));
      expect_rerun_completes();
    }
    std::cout << mode << (error == 0 ? "" : std::string(" ") + std::strerror(error)) << ": " << runs
              << " of " << calls << " calls, " << failed << " runs did not succeed\n";
    return failed;
  }
};

TEST_P(ConversionFaults, CallsFail) {
  EXPECT_GT(try_calls("error", EIO, stride(), 0), 10);
  EXPECT_GT(try_calls("error", ENOSPC, stride(), stride() / 2), 10);
}

TEST_P(ConversionFaults, WritesAreShort) { EXPECT_EQ(try_calls("short", 0, 2 * stride(), 3), 0); }

TEST_P(ConversionFaults, Killed) {
  EXPECT_GT(try_calls("kill-before", 0, 2 * stride(), 1), kCommitCalls);
  EXPECT_GT(try_calls("kill-after", 0, 2 * stride(), 4), 5);
}

INSTANTIATE_TEST_SUITE_P(, ConversionFaults,
                         testing::Values(Conversion{"quantize", false, false},
                                         Conversion{"quantize", true, false},
                                         Conversion{"repack", false, true},
                                         Conversion{"repack", true, true}),
                         conversion_name);

}  // namespace
}  // namespace mxvideo::test
