// Where results go: nothing is replaced unasked, no output is an input, what cannot be written
// fails before the work, and what is finished is kept whatever happens to the rest.
#include <fcntl.h>
#include <pty.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <set>
#include <thread>

#include "e2e/cli_fixture.h"
#include "e2e/damaged_model.h"
#include "support/private_mount.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

class OutputsTest : public CliTest {
 protected:
  // Steps that no test waits for: what is refused is refused before them.
  ProcessResult run_long(const std::string& variant, Arguments extra) const {
    extra.insert(extra.end(), {"--num-inference-steps", "1000", "--size", "128x128"});
    return run(generate(variant, extra));
  }
  void expect_refused(const ProcessResult& result, int code, const std::string& message) const {
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find(message), std::string::npos) << message << "\n" << result.err;
    EXPECT_EQ(result.err.find("denoise"), std::string::npos) << result.err;
  }
  std::string file(const std::string& name) const { return read_text(work() / name); }
};

TEST_F(OutputsTest, NothingIsReplacedUnlessAsked) {
  const Arguments all = {"-o", "v.mp4", "--report", "r.json", "--save-latents", "l.safetensors"};
  for (const char* name : {"v.mp4", "r.json", "l.safetensors"}) {
    write_text(work() / name, "old");
    expect_refused(run_long("t2v-a14b", all), 2,
                   std::string(name) + ": exists already (--overwrite replaces it)");
    EXPECT_EQ(file(name), "old");
    EXPECT_EQ(outputs(), Names{name});
    fs::remove(work() / name);
  }
  fs::create_symlink("nowhere", work() / "v.mp4");
  expect_refused(run_long("t2v-a14b", all), 2, "v.mp4: exists already");
}

TEST_F(OutputsTest, OverwriteReplaces) {
  for (const char* name : {"v.mp4", "r.json", "l.safetensors"}) write_text(work() / name, "old");
  expect_success(run(generate("t2v-a14b", {"-o", "v.mp4", "--report", "r.json", "--save-latents",
                                           "l.safetensors", "--overwrite"})));
  EXPECT_EQ(file("v.mp4").substr(4, 4), "ftyp");
  EXPECT_EQ(read_json(work() / "r.json").at("output"), "v.mp4");
  EXPECT_EQ(TensorFile::read(work() / "l.safetensors").entries.size(), 1u);
  EXPECT_EQ(outputs().size(), 3u);
}

TEST_F(OutputsTest, NoOutputIsAnInput) {
  fs::copy_file(picture(), work() / "photo.webp");
  fs::copy(tiny_model("ti2v-5b"), work() / "model", fs::copy_options::recursive);
  fs::create_directory_symlink("model", work() / "linked");
  fs::create_symlink("photo.webp", work() / "link.webp");
  fs::create_hard_link(work() / "photo.webp", work() / "hard.webp");
  const std::string before = file("photo.webp");
  const Arguments inputs = {"-i", "photo.webp", "--model-path", "model", "--overwrite"};
  const std::vector<Arguments> bad = {
      {"-o", "photo.webp"},
      {"-o", "./model/../photo.webp"},
      {"-o", "link.webp"},
      {"-o", "hard.webp"},
      {"-o", "v.mp4", "--report", "photo.webp"},
      {"-o", "v.mp4", "--save-latents", "photo.webp"},
      {"-o", "v.mp4", "--report", "model/model_index.json"},
      {"-o", "v.mp4", "--report", "linked/vae/config.json"},
      {"-o", "v.mp4", "--save-latents", "model/vae/diffusion_pytorch_model.safetensors"}};
  for (Arguments extra : bad) {
    extra.insert(extra.end(), inputs.begin(), inputs.end());
    expect_refused(run_long("ti2v-5b", extra), 2, "writing it would overwrite");
  }
  EXPECT_EQ(file("photo.webp"), before);
  EXPECT_FALSE(fs::exists(work() / "v.mp4"));
}

TEST_F(OutputsTest, NoOutputIsAnotherOne) {
  fs::create_directory(work() / "a");
  fs::create_directory_symlink("a", work() / "b");
  write_text(work() / "old", "old");
  fs::create_hard_link(work() / "old", work() / "same");
  const std::vector<Arguments> bad = {
      {"-o", "v.mp4", "--report", "./v.mp4"},
      {"-o", "a/v.mp4", "--report", "b/v.mp4"},
      {"-o", "v.mp4", "--report", "a/r", "--save-latents", "b/r"},
      {"-o", "v.mp4", "--report", "old", "--save-latents", "same", "--overwrite"},
      {"-o", "v.mp4", "--save-quantized", "v.mp4", "--quantization", "mxfp8"}};
  for (const Arguments& extra : bad) {
    expect_refused(run_long("t2v-a14b", extra), 2, "outputs need different files");
  }
}

TEST_F(OutputsTest, RunsOfOneSecondHaveNamesOfTheirOwn) {
  const Arguments arguments = generate("t2v-a14b", {"--threads", "1", "--output-path", "."});
  std::vector<std::unique_ptr<Process>> processes;
  for (int i = 0; i < 4; ++i) processes.push_back(std::make_unique<Process>(command(arguments)));
  std::set<std::string> names;
  for (const auto& process : processes) {
    const ProcessResult result = process->finish();
    expect_success(result);
    names.insert(fs::path(result.out.substr(0, result.out.size() - 1)).filename());
  }
  EXPECT_EQ(names.size(), 4u);
  const Names written = outputs();
  EXPECT_EQ(std::set<std::string>(written.begin(), written.end()), names);
}

TEST_F(OutputsTest, OneRunAtATimeWritesAFile) {
  Process first(command(generate("t2v-a14b", {"-o", "v.mp4", "--num-inference-steps", "1000",
                                              "--size", "128x128", "--progress", "json"})));
  first.wait_for_error_text("{\"phase\":\"denoise\",\"done\":1,");
  EXPECT_EQ(outputs().size(), 1u) << "made before the first step";
  expect_refused(run_long("t2v-a14b", {"-o", "v.mp4"}), 2, "v.mp4: another process is writing it");
  expect_refused(run_long("t2v-a14b", {"-o", "v.mp4", "--overwrite"}), 2, "another process");
  first.send_signal(SIGTERM);
  EXPECT_EQ(first.finish().exit_code, 143);
  EXPECT_EQ(outputs(), Names{"v.mp4.state.safetensors"});
}

// Killed at once, a run leaves a temporary file; it is in nobody's way.
TEST_F(OutputsTest, AKilledRunDoesNotKeepTheName) {
  {
    Process killed(command(generate("t2v-a14b", {"-o", "v.mp4", "--num-inference-steps", "1000",
                                                 "--size", "128x128", "--progress", "json"})));
    killed.wait_for_error_text("{\"phase\":\"denoise\",\"done\":1,");
    killed.send_signal(SIGKILL);
    killed.finish();
  }
  expect_success(run(generate("t2v-a14b", {"-o", "v.mp4"})));
  EXPECT_EQ(outputs(), Names{"v.mp4"});
}

// Somebody made the file while the run worked: neither is lost.
TEST_F(OutputsTest, AFileThatAppearedMeanwhileIsKept) {
  Process process(command(generate("t2v-a14b", {"-o", "v.mp4", "--num-inference-steps", "20",
                                                "--size", "128x128", "--progress", "json"})));
  process.wait_for_error_text("{\"phase\":\"denoise\",\"done\":1,");
  write_text(work() / "v.mp4", "other");
  const ProcessResult result = process.finish();
  expect_success(result);
  EXPECT_EQ(result.out, "v-2.mp4\n");
  EXPECT_EQ(file("v.mp4"), "other");
  EXPECT_EQ(file("v-2.mp4").substr(4, 4), "ftyp");
}

TEST_F(OutputsTest, SuffixesAreReadInAnyCase) {
  expect_success(run(generate("t2v-a14b", {"-o", "a.MP4"})));
  expect_success(run(generate("t2v-a14b", {"-o", "b.Y4m"})));
  EXPECT_EQ(file("a.MP4").substr(4, 4), "ftyp");
  EXPECT_EQ(file("b.Y4m").substr(0, 9), "YUV4MPEG2");
}

TEST_F(OutputsTest, NoVideoGoesToATerminal) {
  int terminal = -1, shown = -1;
  ASSERT_EQ(::openpty(&shown, &terminal, nullptr, nullptr, nullptr), 0);
  ProcessOptions options = command(generate("t2v-a14b", {"-o", "-"}));
  options.output_file = ::ttyname(terminal);
  const ProcessResult result = run_process(options);
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_NE(result.err.find("standard output is a terminal"), std::string::npos) << result.err;
  ::close(terminal);
  ::close(shown);
}

// The video is done and its name said, whatever happens to the report; and the other way round.
TEST_F(OutputsTest, AFailedReportLeavesTheVideo) {
  ProcessOptions options = command(generate(
      "t2v-a14b", {"--size", "16x16", "--num-frames", "1", "-o", "v.y4m", "--report", "r"}));
  options.file_size_limit = 2000;
  const ProcessResult result = run_process(options);
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_EQ(result.out, "v.y4m\n");
  EXPECT_EQ(outputs(), Names{"v.y4m"});
}

TEST_F(OutputsTest, AFailedVideoLeavesLatentsAndReport) {
  ProcessOptions options =
      command(generate("t2v-a14b", {"-o", "v.y4m", "--size", "256x256", "--report", "r.json",
                                    "--save-latents", "l.safetensors"}));
  options.file_size_limit = 300'000;
  const ProcessResult result = run_process(options);
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_NE(result.err.find("v.y4m: cannot write"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("the latents are in l.safetensors"), std::string::npos) << result.err;
  EXPECT_EQ(outputs(), (Names{"l.safetensors", "r.json"}));
  const auto report = read_json(work() / "r.json");
  EXPECT_TRUE(report.at("output").is_null());
  EXPECT_NE(report.at("failure").get<std::string>().find("cannot write"), std::string::npos);
}

TEST_F(OutputsTest, AStoppedDecodeLeavesTheLatents) {
  Process process(command(generate(
      "t2v-a14b", {"-o", "v.mp4", "--size", "512x512", "--num-frames", "33", "--progress", "json",
                   "--num-inference-steps", "1", "--save-latents", "l.safetensors"})));
  process.wait_for_error_text("{\"phase\":\"decode\",\"done\":1,");
  process.send_signal(SIGINT);
  const ProcessResult result = process.finish();
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_NE(result.err.find("stopped; the latents are in l.safetensors"), std::string::npos)
      << result.err;
  EXPECT_EQ(outputs(), Names{"l.safetensors"});
}

TEST_F(OutputsTest, WhatDoesNotFitInMemoryIsNotBegun) {
  const Arguments huge = {"-o",           "v.mp4", "--size",       "8192x8192",
                          "--num-frames", "401",   "--vae-tiling", "off"};
  const ProcessResult result = run(generate("t2v-a14b", huge));
  expect_refused(result, 5, "mxvideo: out_of_memory: the run needs ");
  EXPECT_NE(result.err.find("--allow-overcommit goes on"), std::string::npos) << result.err;
  EXPECT_EQ(outputs(), Names());
}

// Stacks of 4 GiB in 10 GiB of addresses: this process and two threads.
TEST_F(OutputsTest, ARunTakesTheThreadsThatThereAre) {
  if (!require_plain_memory("a limited address space")) GTEST_SKIP();
  ProcessOptions options =
      command(generate("t2v-a14b", {"-o", "v.mp4", "--threads", "8", "--report", "r.json"}));
  options.arguments.insert(options.arguments.begin(),
                           {"-c", "ulimit -s 4194304 && ulimit -v 10485760 && exec \"$0\" \"$@\"",
                            options.program.string()});
  options.program = "/bin/sh";
  const ProcessResult result = run_process(options);
  expect_success(result);
  EXPECT_EQ(result.err.find("libgomp"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("threads instead of 8"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("no threads left for the video encoder"), std::string::npos)
      << result.err;
  EXPECT_LT(read_json(work() / "r.json").at("threads"), 8);
  EXPECT_EQ(file("v.mp4").substr(4, 4), "ftyp");
}

TEST_F(OutputsTest, FreeSpaceIsLookedAtFirst) {
  const std::string refused = enter_private_mounts();
  if (!require_mount(refused.empty(), "an output on a full disk, " + refused)) GTEST_SKIP();
  const fs::path directory = work() / "disk";
  fs::create_directory(directory);
  const SmallDisk disk(directory, 1 << 20);
  const Arguments large = {"--size", "512x512", "--num-inference-steps", "1000"};
  const std::vector<Arguments> targets = {
      {"-o", "disk/v.y4m"},
      {"-o", "disk/v.mp4"},
      {"-o", "disk/frames/"},
      {"-o", "v.mp4", "--save-latents", "disk/l", "--num-frames", "201"}};
  for (Arguments extra : targets) {
    extra.insert(extra.end(), large.begin(), large.end());
    const ProcessResult result = run(generate("t2v-a14b", extra));
    expect_refused(result, 7, " will be written, but the file system has only ");
    EXPECT_TRUE(fs::is_empty(directory));
  }
  // The video alone would find room.
  const ProcessResult state =
      run(generate("t2v-a14b", {"-o", "disk/v.mp4", "--size", "256x256", "--num-frames", "5"}));
  expect_refused(state, 7, "disk/v.mp4, disk/v.mp4.state.safetensors: up to ");
  expect_success(run(generate("t2v-a14b", {"-o", "disk/v.mp4"})));
}

}  // namespace
}  // namespace mxvideo::test
