// The program with --device ascend, on the stand-in of CANN and without any.
#include <algorithm>
#include <filesystem>
#include <string>

#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

class AscendProgram : public CliTest {
 protected:
  // `stand_in` configures the stand-in: "soc=…;fail=…". It reports to scratch()/report.
  ProcessResult run_on_stand_in(Arguments arguments, const std::string& stand_in = "") const {
    ProcessOptions options = command(std::move(arguments));
    options.environment["LD_LIBRARY_PATH"] = MXVIDEO_ASCEND_STAND_IN_DIR;
    options.environment["ASCEND_STAND_IN"] =
        "report=" + (scratch() / "report").string() + (stand_in.empty() ? "" : ";" + stand_in);
    return run_process(options);
  }
  static Arguments on_npu(const std::string& variant, Arguments extra = {}) {
    extra.insert(extra.end(), {"--device", "ascend"});
    return generate(variant, extra);
  }
};

TEST_F(AscendProgram, WithoutCannOneSentenceSaysWhatIsMissing) {
  expect_failure(run(on_npu("t2v-a14b")), 4,
                 "device ascend: CANN's library libascendcl.so cannot be loaded");
  const ProcessResult doctor = run({"doctor"});
  EXPECT_EQ(doctor.exit_code, 0);
  EXPECT_NE(doctor.out.find("ascend   no: device ascend: CANN's library libascendcl.so"),
            std::string::npos)
      << doctor.out;
}

TEST_F(AscendProgram, MakesAVideoOfEveryVariant) {
  for (const char* variant : {"t2v-a14b", "ti2v-5b"}) {
    for (const char* scheme : {"none", "mxfp8"}) {
      const std::string output = std::string(variant) + scheme + ".mp4";
      expect_success(run_on_stand_in(
          on_npu(variant, {"--quantization", scheme, "--output", output}), "abort=1"));
      EXPECT_GT(std::filesystem::file_size(work() / output), 0u);
    }
  }
}

TEST_F(AscendProgram, DoctorShowsTheNpuAndWhatWasProved) {
  const ProcessResult text = run_on_stand_in({"doctor"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_NE(text.out.find("Ascend950"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("checked against the published CANN contracts; not yet run on an NPU"),
            std::string::npos);
  const auto report = nlohmann::json::parse(run_on_stand_in({"doctor", "--json"}).out);
  EXPECT_EQ(report.at("devices"), nlohmann::json::array({"cpu", "ascend"}));
  EXPECT_GT(report.at("ascend").at("memory_bytes"), 0);
}

TEST_F(AscendProgram, OtherNpusAreRefusedBeforeAnythingIsLoaded) {
  expect_failure(run_on_stand_in(on_npu("t2v-a14b"), "soc=Ascend910_9392"), 4, "Atlas A5");
  expect_failure(run_on_stand_in(on_npu("t2v-a14b"), "devices=0"), 4, "finds no NPU");
}

TEST_F(AscendProgram, WhatTheNpuCannotDoIsRefusedByName) {
  expect_failure(run_on_stand_in(on_npu("t2v-a14b", {"--quantization", "mxint8"})), 3, "MXINT8");
  expect_failure(run_on_stand_in(on_npu("t2v-a14b", {"--attention", "int8"})), 3, "attention_int8");
  expect_failure(
      run_on_stand_in(on_npu("t2v-a14b", {"--quantization", "mxfp8", "--mx-scale-rule", "even"})),
      3, "rceil and floor");
}

TEST_F(AscendProgram, TooLittleMemoryIsSaidBeforeTheWork) {
  expect_failure(run_on_stand_in(on_npu("t2v-a14b"), "memory=300000"), 5, "free on the NPU");
}

// Calls of CANN fail in turn, the later ones in growing steps: a clean end every time. Those that
// only let something go, or say the NPU's name, end nothing.
TEST_F(AscendProgram, CallsThatFailEndTheRunWithAStatusOfTheDevice) {
  int failures = 0;
  for (int64_t n = 1; n < 4000; n = n < 30 ? n + 1 : n + n / 3) {
    const ProcessResult result =
        run_on_stand_in(on_npu("t2v-a14b", {"--overwrite", "--output", "out.mp4"}),
                        "abort=1;fail=" + std::to_string(n));
    if (result.exit_code == 0) continue;
    ++failures;
    ASSERT_TRUE(result.exit_code == 4 || result.exit_code == 5)
        << n << ": " << result.exit_code << " signal " << result.signal << "\n"
        << result.err;
    EXPECT_NE(result.err.find("device ascend: acl"), std::string::npos) << result.err;
  }
  EXPECT_GE(failures, 25);
}

}  // namespace
}  // namespace mxvideo::test
