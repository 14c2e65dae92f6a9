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
    {"unknown_command", {"paint"}, "there is no command 'paint' (see mxvideo --help)"},
    {"command_mistyped", {"genrate"}, "did you mean 'generate'?"},
    {"command_of_help_mistyped", {"help", "quantise"}, "did you mean 'quantize'?"},
    {"bench_mistyped", {"bench", "gem"}, "no command 'bench gem' (see mxvideo bench --help); did"},
    {"command_of_peers", {"serve"}, "the server is not there yet"},
    {"flag_without_command", {"--paint"}, "there is no flag --paint"},
    {"flag_before_no_command",
     {"--fps", "16"},
     "name the command first: it is a flag of generate, decode, evaluate and 2 more"},
    {"flag_mistyped", {"generate", "--promt", "x"}, "did you mean '--prompt'?"},
    {"flag_with_underscore", {"generate", "--num_frames", "5"}, "did you mean '--num-frames'?"},
    {"flag_by_a_word", {"generate", "--frames", "5"}, "did you mean '--num-frames'?"},
    {"flag_with_one_dash", {"generate", "-prompt", "x"}, "takes two dashes: --prompt"},
    {"flag_of_another_command",
     {"generate", "--original", "x"},
     "generate has no flag --original; it is a flag of verify"},
    {"flag_for_its_own_value", {"generate", "-p", "--seed", "3"}, "-p needs a value, got the flag"},
    {"flag_twice_by_alias",
     {"generate", "--steps", "3", "--sample_steps", "4"},
     "--num-inference-steps is given twice, as --steps and as --sample_steps"},
    {"text_without_quotes",
     {"generate", "-p", "a", "fox"},
     "unexpected word 'fox' after the value of -p (several words as one value need quotes)"},
    {"lora", {"generate", "--lora-path", "x"}, "--lora-path: LoRA is not there yet"},
    {"offload", {"generate", "--offload_model", "True"}, "there is nothing to offload"},
    {"sampler", {"generate", "--sampling-method", "euler"}, "the sampler is UniPC"},
    {"gpus", {"generate", "--num-gpus", "4"}, "mxvideo runs on the CPU"},
    // The first bad argument of the user's order, not of the declaration's.
    {"first_of_two_flags", {"generate", "--zzz", "1", "--aaa", "2"}, "no flag --zzz"},
    {"first_of_two_values",
     {"generate", "-m", "x", "-p", "x", "--fps", "b", "--width", "a"},
     "--fps: expected a whole number of at most 64 bits, got 'b'"},
    {"first_of_two_values_turned",
     {"generate", "-m", "x", "-p", "x", "--width", "a", "--fps", "b"},
     "--width: expected a whole number of at most 64 bits, got 'a'"},
    {"bad_value_before_a_missing_flag", {"generate", "--fps", "b"}, "--fps: expected"},
    {"scheme_mistyped", {"generate", "--quantization", "mxpf8"}, "did you mean 'mxfp8'?"},
    {"kernel_op_mistyped",
     {"generate", "-m", "x", "-p", "x", "--kernel", "matmull=onednn"},
     "did you mean 'matmul'?"},
    {"kernel_row_mistyped",
     {"generate", "-m", "x", "-p", "x", "--kernel", "rope=refernce"},
     "did you mean 'reference'?"},
    {"size_words", {"generate", "--size", "widexhigh"}, "expected WIDTHxHEIGHT"},
    {"steps_text", {"generate", "--num-inference-steps", "x"}, "--num-inference-steps"},
    {"frames_text",
     {"generate", "--num-frames", "many"},
     "--num-frames: expected a whole number of at most 64 bits, got 'many'"},
    {"seed_negative", {"generate", "--seed", "-2"}, "or -1 for a random one, got '-2'"},
    {"prompt_empty", {"generate", "--prompt", ""}, "--prompt: expected a text"},
    {"prompt_blank", {"generate", "--prompt", " \t\n"}, "--prompt: expected a text"},
    {"compare_suffix",
     {"compare", "-m", "x", "-o", "report.pdf"},
     "--output: expected a name ending in .html, got 'report.pdf'"},
    {"no_model", {"generate", "-p", "x"}, "--model-path is required; see mxvideo generate --help"},
    {"no_prompt", {"generate", "-m", "x"}, "--prompt is required"},
    {"doctor_flag", {"doctor", "--xml"}, "see mxvideo doctor --help"},
    {"version_word", {"version", "please"}, "please"},
    {"quantize_output", {"quantize", "-m", "x"}, "--output is required"},
    {"quantize_layout",
     {"quantize", "-m", "x", "-o", "y", "--layout", "gguf"},
     "--layout: expected modelslim, diffusers, comfy or original, got 'gguf'"},
    {"quantize_layout_mistyped",
     {"quantize", "-m", "x", "-o", "y", "--layout", "difusers"},
     "did you mean 'diffusers'?"},
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
