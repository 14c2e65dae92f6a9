// Runs that end early and go on: the files of one that was never stopped.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>
#include <thread>

#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

constexpr const char* kState = "v.y4m.state.safetensors";

class ResumeTest : public CliTest {
 protected:
  // Some seconds of work, with a state after each step. `extra` comes last.
  static Arguments job(const Arguments& extra) {
    Arguments arguments = {"-o",     "v.y4m", "--num-inference-steps", "24", "--size",     "64x64",
                           "--seed", "5",     "--checkpoint-seconds",  "0",  "--progress", "json"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    return generate("t2v-a14b", arguments);
  }
  std::string video() const { return read_text(work() / "v.y4m"); }
  // The video of the job that nobody stops; the directory is empty again.
  std::string whole(const Arguments& extra = {}) const {
    expect_success(run(job(extra)));
    std::string bytes = video();
    fs::remove(work() / "v.y4m");
    EXPECT_EQ(outputs(), Names());
    return bytes;
  }
  void stop_after_step(int step, int signal, const Arguments& extra = {}) const {
    Process process(command(job(extra)));
    process.wait_for_error_text("{\"phase\":\"denoise\",\"done\":" + std::to_string(step) + ",");
    process.send_signal(signal);
    process.finish();
  }
};

TEST_F(ResumeTest, AStoppedRunGoesOnToTheSameFile) {
  const std::string expected = whole();
  stop_after_step(3, SIGTERM);
  EXPECT_EQ(outputs(), Names{kState});
  stop_after_step(9, SIGINT, {"--resume"});
  EXPECT_EQ(outputs(), Names{kState});
  const ProcessResult result = run(job({"--resume"}));
  expect_success(result);
  EXPECT_NE(result.err.find("goes on after step "), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("{\"phase\":\"denoise\",\"done\":3,"), std::string::npos);
  EXPECT_EQ(outputs(), Names{"v.y4m"});
  EXPECT_EQ(video(), expected);
}

// The seed of the first run is drawn; the state knows it.
TEST_F(ResumeTest, TheSeedNeedNotBeRepeated) {
  Arguments drawn = generate("ti2v-5b", {"-o", "v.y4m", "--num-inference-steps", "200", "--size",
                                         "64x64", "--progress", "json"});
  Process process(command(drawn));
  process.wait_for_error_text("{\"phase\":\"denoise\",\"done\":2,");
  process.send_signal(SIGINT);
  EXPECT_EQ(process.finish().exit_code, 130);
  drawn.emplace_back("--resume");
  expect_success(run(drawn));
}

TEST_F(ResumeTest, TheStateOfAnotherRunIsRefusedWithWhatDiffers) {
  stop_after_step(3, SIGINT);
  const ProcessResult refused = run(job({"--resume", "--flow-shift", "4"}));
  EXPECT_EQ(refused.exit_code, 8) << refused.err;
  EXPECT_NE(refused.err.find("request/flow_shift is "), std::string::npos) << refused.err;
  EXPECT_EQ(outputs(), Names{kState});
  const ProcessResult anew = run(job({}));
  EXPECT_EQ(anew.exit_code, 2) << anew.err;
  EXPECT_NE(anew.err.find("--resume goes on with it, --overwrite begins anew"), std::string::npos)
      << anew.err;
  write_text(work() / kState, read_text(work() / kState).substr(0, 5000));
  const ProcessResult damaged = run(job({"--resume"}));
  EXPECT_EQ(damaged.exit_code, 3) << damaged.err;
  expect_success(run(job({"--overwrite"})));
  EXPECT_EQ(outputs(), Names{"v.y4m"});
}

TEST_F(ResumeTest, ResumeNeedsAFileAndBeginsWhereThereIsNone) {
  expect_failure(run(generate("t2v-a14b", {"--resume", "-o", "-"})), 2, "--resume needs --output");
  const std::string expected = whole();
  const ProcessResult result = run(job({"--resume"}));
  expect_success(result);
  EXPECT_NE(result.err.find("there is no v.y4m.state.safetensors"), std::string::npos);
  EXPECT_EQ(video(), expected);
}

// Killed at moments that nobody chose, MXVIDEO_KILL_POINTS of them, and continued until the end.
TEST_F(ResumeTest, KilledAtAnyMomentARunGoesOnToTheSameFile) {
  const char* wanted = std::getenv("MXVIDEO_KILL_POINTS");
  const int points = wanted == nullptr ? 6 : std::atoi(wanted);
  const auto begin = std::chrono::steady_clock::now();
  const std::string expected = whole();
  const auto length = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - begin);
  std::minstd_rand random(1);
  for (int point = 0; point < points;) {
    Arguments extra = {"--resume"};
    while (!fs::exists(work() / "v.y4m")) {
      Process process(command(job(extra)));
      if (point < points) {
        std::this_thread::sleep_for(length * (random() % 1000) / 1000);
        ++point;
        process.send_signal(SIGKILL);
        process.finish();
        continue;
      }
      expect_success(process.finish());
    }
    ASSERT_EQ(video(), expected) << "after " << point << " kills";
    fs::remove(work() / "v.y4m");
    fs::remove(work() / kState);  // of one that was killed between its last two acts
  }
}

}  // namespace
}  // namespace mxvideo::test
