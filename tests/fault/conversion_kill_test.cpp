// kill -9 at random moments of `mxvideo quantize` and `mxvideo repack`.
//
// MXVIDEO_KILL_POINTS: how often in all, over the four tests (default 300).
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <random>
#include <thread>

#include "fault/conversion_fixture.h"

namespace mxvideo::test {
namespace {

constexpr int kConversions = 4;
constexpr int kRunsPerClock = 5;

int kill_points() {
  const char* text = std::getenv("MXVIDEO_KILL_POINTS");
  return (text == nullptr ? 300 : std::atoi(text)) / kConversions;
}

class ConversionKills : public ConversionFixture {
 protected:
  using Seconds = std::chrono::duration<double>;

  Seconds undisturbed() const {
    start_over();
    const auto start = std::chrono::steady_clock::now();
    run();
    return std::chrono::steady_clock::now() - start;
  }

  ProcessResult run_and_kill_after(Seconds delay) const {
    Process process(command());
    std::this_thread::sleep_for(delay);
    process.send_signal(SIGKILL);
    return process.finish();
  }
};

TEST_P(ConversionKills, AnyMoment) {
  Seconds duration{};
  std::mt19937 random(7);
  std::uniform_real_distribution<double> fraction(0, 1);
  const int points = kill_points();
  ASSERT_GT(points, 0);
  int killed = 0;
  int with_partial = 0;
  for (int i = 0; i < points && !HasFailure(); ++i) {
    // The load of the machine changes; a run a moment ago tells how long one takes now.
    if (i % kRunsPerClock == 0) duration = undisturbed();
    const Seconds delay = duration * fraction(random);
    SCOPED_TRACE("killed after " + std::to_string(delay.count()) + " s, point " +
                 std::to_string(i));
    start_over();
    const ProcessResult result = run_and_kill_after(delay);
    if (result.signal == SIGKILL) ++killed;
    if (has_partial()) ++with_partial;
    expect_old_or_new(result, "killed");
    expect_rerun_completes();
  }
  std::cout << points << " points, the last over " << duration.count() << " s: " << killed
            << " killed before the end, " << with_partial << " left a partial output\n";
  EXPECT_GT(killed, points / 2);
  EXPECT_GT(with_partial, points / 20);
}

INSTANTIATE_TEST_SUITE_P(, ConversionKills,
                         testing::Values(Conversion{"quantize", false, false},
                                         Conversion{"quantize", true, false},
                                         Conversion{"repack", false, true},
                                         Conversion{"repack", true, true}),
                         conversion_name);

}  // namespace
}  // namespace mxvideo::test
