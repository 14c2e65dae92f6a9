// Command lines that name no command, or a command wrongly.
#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

struct BadCommand {
  const char* name;
  Arguments arguments;
  std::string message;
};

class BadCommandTest : public CliTest, public testing::WithParamInterface<BadCommand> {};

TEST_P(BadCommandTest, IsUsageError) {
  expect_failure(run(GetParam().arguments), 2, GetParam().message);
}

const BadCommand kCommands[] = {
    {"nothing", {}, "subcommand is required; see mxvideo --help"},
    {"unknown_command", {"paint"}, "paint"},
    {"unknown_flag", {"--paint"}, "--paint"},
    {"no_model", {"generate", "-p", "x"}, "--model-path is required; see mxvideo generate --help"},
    {"no_prompt", {"generate", "-m", "x"}, "--prompt is required"},
    {"doctor_flag", {"doctor", "--xml"}, "see mxvideo doctor --help"},
    {"version_word", {"version", "please"}, "please"},
    {"quantize_output", {"quantize", "-m", "x"}, "--output is required"},
    {"quantize_layout",
     {"quantize", "-m", "x", "-o", "y", "--layout", "gguf"},
     "unknown layout 'gguf'"},
    {"quantize_size",
     {"quantize", "-m", "x", "-o", "y", "--shard-size", "5 parsecs"},
     "--shard-size: "},
    {"repack_type",
     {"repack", "--quant-path", "x", "--output-path", "y", "--model-type", "Wan2.1-T2V-14B"},
     "Wan2.1-T2V-14B"},
    {"inspect_nothing", {"inspect"}, "see mxvideo inspect --help"},
    {"verify_threshold", {"verify", "x", "--min-sqnr", "many"}, "--min-sqnr"},
    {"two_commands", {"version", "doctor", "x"}, "x"},
};

INSTANTIATE_TEST_SUITE_P(Commands, BadCommandTest, testing::ValuesIn(kCommands),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace mxvideo::test
