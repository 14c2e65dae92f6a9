// How the program uses processors that it shares with others.
#include "e2e/cli_fixture.h"
#include "support/one_processor.h"

namespace mxvideo::test {
namespace {

class ThreadsTest : public CliTest {
 protected:
  // The value that the OpenMP runtime took for `name` when `command` ran.
  std::string runtime_setting(const std::string& name, ProcessOptions options) const {
    options.environment["OMP_DISPLAY_ENV"] = "verbose";
    const ProcessResult result = run_process(options);
    expect_success(result);
    // The last display: a program that starts anew shows two.
    const size_t begin = result.err.rfind(name + " = '");
    if (begin == std::string::npos) return "not shown";
    const size_t value = begin + name.size() + 4;
    return result.err.substr(value, result.err.find('\'', value) - value);
  }
  ProcessOptions run_with_policy(const std::string& name, const std::string& value) const {
    ProcessOptions options = command(generate("t2v-a14b", {"--output", "v" + value + ".mp4"}));
    options.environment["OMP_WAIT_POLICY"] = "";  // the tests themselves run with "passive"
    options.environment[name] = value;
    return options;
  }
};

TEST_F(ThreadsTest, WaitingThreadsSpinForMicrosecondsUnlessTheUserSaysOtherwise) {
  EXPECT_EQ(runtime_setting("GOMP_SPINCOUNT", run_with_policy("GOMP_SPINCOUNT", "")), "1000");
  EXPECT_EQ(runtime_setting("GOMP_SPINCOUNT", run_with_policy("GOMP_SPINCOUNT", "77")), "77");
  EXPECT_EQ(runtime_setting("OMP_WAIT_POLICY", run_with_policy("OMP_WAIT_POLICY", "active")),
            "ACTIVE");
}

TEST_F(ThreadsTest, ThreadsAreThoseOfTheAffinityMaskUnlessTheUserSaysOtherwise) {
  const OneProcessorScope one;
  const auto threads = [&](ProcessOptions options) {
    return nlohmann::json::parse(run_process(options).out).at("threads").get<int>();
  };
  ProcessOptions options = command({"doctor", "--json"});
  EXPECT_EQ(threads(options), 1);
  options.environment["OMP_NUM_THREADS"] = "3";
  EXPECT_EQ(threads(options), 3);
}

}  // namespace
}  // namespace mxvideo::test
