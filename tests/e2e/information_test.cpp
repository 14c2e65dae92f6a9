// What mxvideo says about itself: help, version, doctor.
#include <sstream>

#include "base/version.h"
#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

using InformationTest = CliTest;

TEST_F(InformationTest, Version) {
  const std::string expected = "mxvideo " + std::string(version()) + "\n";
  for (const char* spelling : {"version", "--version"}) {
    const ProcessResult result = run({spelling});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(result.out, expected);
    EXPECT_EQ(result.err, "");
  }
}

// Loading and relocating them is most of what a start would take.
TEST_F(InformationTest, LibrariesOfCodecsAreNotLoadedAtTheStart) {
  ProcessOptions options = command({"--version"});
  options.environment["LD_TRACE_LOADED_OBJECTS"] = "1";  // the loader lists them, as for ldd
  const std::string loaded = run_process(options).out;
  EXPECT_NE(loaded.find("libpng"), std::string::npos) << loaded;
  for (const char* library : {"libavfilter", "libavformat", "libavcodec", "libavutil", "libswscale",
                              "libavif", "libheif"}) {
    EXPECT_EQ(loaded.find(library), std::string::npos) << library;
  }
}

TEST_F(InformationTest, HelpNamesCommandsAndExitStatuses) {
  const ProcessResult result = run({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  for (const char* word : {"generate", "doctor", "version", "6 numerics", "130 interrupted"}) {
    EXPECT_NE(result.out.find(word), std::string::npos) << word;
  }
}

std::vector<Arguments> commands() {
  std::vector<Arguments> result = {{}};
  for (const char* name : {"generate", "evaluate", "quantize", "repack", "compare", "plan",
                           "inspect", "verify", "bench", "doctor", "version"}) {
    result.push_back({name});
  }
  for (const char* name : {"gemm", "attention", "vae", "load", "text", "step", "check"}) {
    result.push_back({"bench", name});
  }
  return result;
}

TEST_F(InformationTest, HelpIsACommandToo) {
  for (const Arguments& command : commands()) {
    Arguments as_flag = command, as_command = command;
    as_flag.emplace_back("--help");
    as_command.insert(as_command.begin(), "help");
    const ProcessResult flag = run(as_flag), word = run(as_command);
    EXPECT_EQ(flag.exit_code, 0);
    EXPECT_EQ(word.exit_code, 0) << word.err;
    EXPECT_EQ(flag.err + word.err, "");
    EXPECT_EQ(flag.out, word.out);
  }
  for (const Arguments& alone : {Arguments{}, Arguments{"bench"}}) {
    const ProcessResult result = run(alone);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("Usage: mxvideo"), std::string::npos) << result.out;
  }
}

TEST_F(InformationTest, HelpFitsAHundredColumns) {
  std::vector<Arguments> texts = commands();
  texts.push_back({"--help-all"});
  for (Arguments arguments : texts) {
    if (arguments != Arguments{"--help-all"}) arguments.emplace_back("--help");
    std::istringstream lines(run(arguments).out);
    int seen = 0;
    for (std::string line; std::getline(lines, line); ++seen) EXPECT_LE(line.size(), 100u) << line;
    EXPECT_GT(seen, 3);
  }
}

// Flags may stand before their command.
TEST_F(InformationTest, FlagsBeforeTheCommand) {
  const ProcessResult result = run({"--json", "doctor"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NO_THROW(nlohmann::json::parse(result.out));
  // "plan" is here the value of a flag.
  expect_failure(run({"--model-path", "plan", "plan", "--fps", "0"}), 3, "'plan'");
}

// Every flag, and the variable of each.
TEST_F(InformationTest, GenerateHelpIsComplete) {
  const ProcessResult result = run({"generate", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  for (const char* flag :
       {"-m,--model-path,--model,--ckpt_dir",
        "--revision",
        "--quantization,--type",
        "--quantization-ignored-layers,--ignored-layers",
        "--text-encoder-quantization",
        "--mx-scale-rule",
        "-p,--prompt",
        "-n,--negative-prompt",
        "-i,--image-path,--image",
        "--last-image-path,--end-img",
        "--size",
        "-W,--width",
        "-H,--height",
        "--num-frames,--frame_num,--video-frames",
        "--fps",
        "--num-inference-steps,--sample_steps,--steps",
        "--guidance-scale,--guidance-high,--sample_guide_scale,--high-noise-cfg-scale",
        "--guidance-scale-2,--guidance-low",
        "--cfg-scale",
        "--flow-shift,--sample_shift",
        "--sigma-grid",
        "--boundary-ratio,--moe-boundary",
        "-s,--seed,--base_seed",
        "--latents",
        "-o,--output,--save_file",
        "--output-path",
        "--output-file-name",
        "--output-format",
        "--report",
        "--save-latents",
        "--json",
        "--threads",
        "--text-cache",
        "--vae-tiling",
        "--kernel",
        "--progress"}) {
    EXPECT_NE(result.out.find(std::string("\n  ") + flag + " "), std::string::npos) << flag;
  }
  for (const char* variable : {"MXVIDEO_MODEL_PATH", "MXVIDEO_QUANTIZATION", "MXVIDEO_REPORT"}) {
    EXPECT_NE(result.out.find(variable), std::string::npos) << variable;
  }
  EXPECT_EQ(result.out.find("MXVIDEO_HELP"), std::string::npos);
}

TEST_F(InformationTest, DoctorAgreesWithItself) {
  const ProcessResult text = run({"doctor"});
  const ProcessResult json = run({"doctor", "--json"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_EQ(json.exit_code, 0);
  EXPECT_EQ(text.err + json.err, "");
  const auto report = nlohmann::json::parse(json.out);
  EXPECT_EQ(report.at("devices"), nlohmann::json::array({"cpu"}));
  EXPECT_GT(report.at("threads"), 0);
  EXPECT_GT(report.at("memory_bytes"), 0);
  for (const auto& [op, rows] : report.at("kernels").items()) {
    EXPECT_NE(text.out.find("  " + op), std::string::npos) << op;
    EXPECT_EQ(rows.back().at("row"), "reference") << op;
    int chosen = 0;
    for (const auto& row : rows) {
      chosen += row.at("chosen") ? 1 : 0;
      EXPECT_EQ(row.contains("missing"), !row.at("runs").get<bool>()) << op;
      if (row.at("chosen")) {
        EXPECT_NE(text.out.find(" *" + row.at("row").get<std::string>()), std::string::npos);
      }
    }
    EXPECT_EQ(chosen, 1) << op;
  }
}

// A row of a CPU that this one is not, if the doctor knows any: refused before a file is opened.
TEST_F(InformationTest, RowsThatCannotRunAreHardwareErrors) {
  const auto report = nlohmann::json::parse(run({"doctor", "--json"}).out);
  int refused = 0;
  for (const auto& [op, rows] : report.at("kernels").items()) {
    for (const auto& row : rows) {
      if (row.at("runs")) continue;
      const std::string choice = op + "=" + row.at("row").get<std::string>();
      expect_failure(
          run(generate("t2v-a14b", {"--kernel", choice})), 4,
          "--kernel " + choice + ": this CPU lacks " + row.at("missing").get<std::string>());
      ++refused;
    }
  }
  std::cout << refused << " rows do not run here\n";
}

TEST_F(InformationTest, FullDiskUnderTheAnswerIsAnError) {
  for (const char* word : {"version", "doctor", "--help"}) {
    ProcessOptions options = command({word});
    options.output_file = "/dev/full";
    expect_failure(run_process(options), 7, "standard output: cannot write");
  }
}

}  // namespace
}  // namespace mxvideo::test
