// Runs that are stopped from outside: signals, a reader that went away, a full disk, no memory.
#include <chrono>
#include <csignal>
#include <thread>

#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

using Names = std::vector<std::string>;

class InterruptTest : public CliTest {
 protected:
  // Far more steps than a test waits for.
  ProcessOptions long_run(const Arguments& extra) const {
    Arguments arguments = {"--num-inference-steps",
                           "1000",
                           "--size",
                           "128x128",
                           "--progress",
                           "json",
                           "--report",
                           "r.json",
                           "--save-latents",
                           "l.safetensors"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    return command(generate("t2v-a14b", arguments));
  }

  // What is left is the state of the run.
  void expect_stopped_by(int signal, const std::string& output) const {
    const std::string name = output.back() == '/' ? output.substr(0, output.size() - 1) : output;
    const std::string state = name + ".state.safetensors";
    Process process(long_run({"--output", output}));
    process.wait_for_error_text("{\"phase\":\"denoise\",\"done\":2,");
    process.send_signal(signal);
    const ProcessResult result = process.finish();
    EXPECT_EQ(result.exit_code, 128 + signal);
    EXPECT_EQ(result.signal, 0);
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find("mxvideo: stopped; the state after step "), std::string::npos)
        << result.err;
    EXPECT_TRUE(result.err.ends_with(" of 1000 is in " + state +
                                     ", the same command with --resume goes on from there\n"))
        << result.err;
    EXPECT_EQ(outputs(), Names{state});
    std::filesystem::remove(work() / state);
  }
};

TEST_F(InterruptTest, InterruptStopsBetweenSteps) {
  expect_stopped_by(SIGINT, "v.mp4");
  expect_stopped_by(SIGINT, "frames/");
}

TEST_F(InterruptTest, TerminateStopsToo) { expect_stopped_by(SIGTERM, "v.y4m"); }

TEST_F(InterruptTest, AClosedTerminalStopsToo) { expect_stopped_by(SIGHUP, "v.mp4"); }

// As nohup starts it.
TEST_F(InterruptTest, AnIgnoredHangUpIsIgnored) {
  ProcessOptions options = long_run({"--output", "v.mp4"});
  options.arguments.insert(options.arguments.begin(),
                           {"-c", "trap '' HUP; exec \"$0\" \"$@\"", options.program.string()});
  options.program = "/bin/sh";
  Process process(options);
  process.wait_for_error_text("{\"phase\":\"denoise\",\"done\":2,");
  process.send_signal(SIGHUP);
  process.wait_for_error_text("{\"phase\":\"denoise\",\"done\":9,");
  process.send_signal(SIGTERM);
  EXPECT_EQ(process.finish().exit_code, 143);
}

// The frames that are finished are temporary too.
TEST_F(InterruptTest, SecondSignalLeavesNothing) {
  for (const char* output : {"frames/", "v.mp4", "v.webp"}) {
    Process process(command(
        generate("t2v-a14b", {"--size", "512x512", "--num-frames", "33", "--num-inference-steps",
                              "1", "--progress", "json", "--output", output})));
    process.wait_for_error_text("{\"phase\":\"decode\",\"done\":5,");
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    process.send_signal(SIGINT);
    process.send_signal(SIGTERM);
    const ProcessResult result = process.finish();
    EXPECT_NE(result.exit_code, 0) << "it was done before the signal";
    EXPECT_EQ(outputs(), Names()) << output;
  }
}

// Blocked in a full pipe, the run cannot look at the first signal.
TEST_F(InterruptTest, SecondSignalEndsAtOnce) {
  Process process(
      command(generate("t2v-a14b", {"--size", "256x256", "--progress", "json", "--output", "-"})));
  process.stop_reading_output();
  process.wait_for_error_text("{\"phase\":\"denoise\",\"done\":2,");
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  process.send_signal(SIGINT);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  process.send_signal(SIGTERM);
  const ProcessResult result = process.finish();
  EXPECT_EQ(result.exit_code, 143);
  EXPECT_EQ(result.err.find("stopped"), std::string::npos) << "it ended by itself";
}

TEST_F(InterruptTest, ReaderThatWentAway) {
  Process process(command(generate("t2v-a14b", {"--output", "-"})));
  process.close_output();
  expect_failure(process.finish(), 7, "standard output: cannot write: Broken pipe");
}

TEST_F(InterruptTest, NoStandardOutput) {
  for (const char* output : {"-", "v.mp4"}) {
    ProcessOptions options = command(generate("t2v-a14b", {"--output", output}));
    options.close_output = true;
    const ProcessResult result = run_process(options);
    EXPECT_EQ(result.exit_code, 7);
    EXPECT_NE(result.err.find("mxvideo: io: standard output: cannot write"), std::string::npos);
  }
  // The video was complete before its name could not be told.
  EXPECT_EQ(outputs(), Names{"v.mp4"});
  EXPECT_EQ(read_text(work() / "v.mp4").substr(4, 4), "ftyp");
}

TEST_F(InterruptTest, FullDiskUnderStandardOutput) {
  ProcessOptions options = command(generate("t2v-a14b", {"--output", "-"}));
  options.output_file = "/dev/full";
  expect_failure(run_process(options), 7, "No space left on device");
}

TEST_F(InterruptTest, FullDiskUnderTheOutput) {
  for (const char* output : {"v.mp4", "v.y4m", "frames/"}) {
    ProcessOptions options = command(generate("t2v-a14b", {"--output", output}));
    options.file_size_limit = 1100;
    expect_failure(run_process(options), 7, "cannot write");
  }
}

TEST_F(InterruptTest, FullDiskUnderTheReport) {
  ProcessOptions options = command(generate(
      "t2v-a14b", {"--size", "16x16", "--num-frames", "1", "-o", "v.y4m", "--report", "r"}));
  options.file_size_limit = 2000;
  const ProcessResult result = run_process(options);
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_NE(result.err.find("mxvideo: io: r: cannot write"), std::string::npos) << result.err;
  EXPECT_EQ(outputs(), Names{"v.y4m"});
}

TEST_F(InterruptTest, NoMemory) {
  if (!require_plain_memory("a limited address space")) GTEST_SKIP();
  ProcessOptions options =
      command(generate("t2v-a14b", {"--size", "4096x4096", "--num-frames", "401", "--threads", "1",
                                    "--allow-overcommit", "--output", "v.y4m"}));
  options.address_space_limit = int64_t{1} << 30;
  expect_failure(run_process(options), 5, "out_of_memory");
}

}  // namespace
}  // namespace mxvideo::test
