// Flags and request values that cannot work: each is one line of error with the right exit status,
// and leaves nothing behind.
#include <sys/stat.h>

#include "e2e/cli_fixture.h"
#include "e2e/damaged_model.h"

namespace mxvideo::test {
namespace {

struct BadFlags {
  const char* name;
  const char* variant;
  Arguments extra;  // "@picture", "@scratch" and "@model" stand for paths
  int exit_code;
  std::string message;
};

void PrintTo(const BadFlags& bad, std::ostream* stream) { *stream << bad.name; }

const std::string kNoUtf8 = "\xff\xfe";
const std::string kLongName(300, 'a');

const BadFlags kRequests[] = {
    // Sizes, frames, steps, numbers.
    {"width",
     "t2v-a14b",
     {"--size", "33x32"},
     2,
     "--width 33 is no multiple of 16 up to 16384; nearest valid: 32 or 48"},
    {"height",
     "t2v-a14b",
     {"--size", "32x31"},
     2,
     "--height 31 is no multiple of 16 up to 16384; nearest valid: 16 or 32"},
    {"ti2v_width",
     "ti2v-5b",
     {"--size", "48x64"},
     2,
     "--width 48 is no multiple of 32 up to 16384; nearest valid: 32 or 64"},
    {"width_zero", "t2v-a14b", {"--size", "0x32"}, 2, "nearest valid: 16"},
    {"width_negative", "t2v-a14b", {"--width", "-16", "--height", "32"}, 2, "--width -16"},
    {"width_huge", "t2v-a14b", {"--size", "16400x32"}, 2, "nearest valid: 16384"},
    {"width_alone",
     "t2v-a14b",
     {"--width", "32"},
     2,
     "--width and --height must be given together"},
    {"size_and_width",
     "t2v-a14b",
     {"--size", "32x32", "--width", "32"},
     2,
     "--size excludes --width"},
    {"size_without_x", "t2v-a14b", {"--size", "832"}, 2, "expected WIDTHxHEIGHT, got '832'"},
    {"size_with_tail", "t2v-a14b", {"--size", "32x32x5"}, 2, "expected WIDTHxHEIGHT"},
    {"size_words", "t2v-a14b", {"--size", "widexhigh"}, 2, "expected WIDTHxHEIGHT"},
    {"size_empty", "t2v-a14b", {"--size", ""}, 2, "--size"},
    {"size_overflow",
     "t2v-a14b",
     {"--size", "99999999999999999999x32"},
     2,
     "expected WIDTHxHEIGHT"},
    {"size_twice", "t2v-a14b", {"--size", "32x32", "--size", "48x48"}, 2, "--size"},
    {"frames",
     "t2v-a14b",
     {"--num-frames", "6"},
     2,
     "--num-frames 6 is not 4n+1 up to 4097; nearest valid: 5 or 9"},
    {"frames_zero", "t2v-a14b", {"--num-frames", "0"}, 2, "nearest valid: 1 or 5"},
    {"frames_negative", "t2v-a14b", {"--num-frames", "-3"}, 2, "--num-frames -3"},
    {"frames_text",
     "t2v-a14b",
     {"--num-frames", "many"},
     2,
     "--num-frames: expected a whole number of at most 64 bits, got 'many'"},
    {"frames_fraction",
     "t2v-a14b",
     {"--num-frames", "5.5"},
     2,
     "--num-frames: expected a whole number of at most 64 bits, got '5.5'"},
    {"frames_huge", "t2v-a14b", {"--num-frames", "999999999"}, 2, "nearest valid: 4097"},
    {"frames_beyond_positions",
     "t2v-a14b",
     {"--num-frames", "4097"},
     2,
     "at most 4093, by rope_max_seq_len 1024"},
    {"steps_zero",
     "t2v-a14b",
     {"--num-inference-steps", "0"},
     2,
     "--num-inference-steps 0 is out of range; expected 1 to 1000"},
    {"steps_huge", "t2v-a14b", {"--num-inference-steps", "1001"}, 2, "expected 1 to 1000"},
    {"steps_text", "t2v-a14b", {"--num-inference-steps", "x"}, 2, "--num-inference-steps"},
    {"fps_zero", "t2v-a14b", {"--fps", "0"}, 2, "--fps 0 is out of range"},
    {"fps_huge", "t2v-a14b", {"--fps", "241"}, 2, "expected 1 to 240"},
    {"guidance_negative",
     "t2v-a14b",
     {"--guidance-scale", "-1"},
     2,
     "--guidance-scale -1 is out of range; expected 0 to 1000"},
    {"guidance_nan", "t2v-a14b", {"--guidance-scale", "nan"}, 2, "--guidance-scale nan"},
    {"guidance_infinite", "t2v-a14b", {"--guidance-scale-2", "inf"}, 2, "--guidance-scale-2 inf"},
    {"guidance_text", "t2v-a14b", {"--guidance-scale", "high"}, 2, "--guidance-scale = high"},
    {"guidance_2_of_one",
     "ti2v-5b",
     {"--guidance-scale-2", "3"},
     2,
     "--guidance-scale-2: TI2V-5B has one transformer only"},
    {"cfg_scale_twice",
     "t2v-a14b",
     {"--cfg-scale", "3", "--guidance-scale-2", "4"},
     2,
     "--cfg-scale means --guidance-scale-2"},
    {"shift_zero",
     "t2v-a14b",
     {"--flow-shift", "0"},
     2,
     "--flow-shift 0 is out of range; expected 0.01 to 1000"},
    {"shift_nan", "t2v-a14b", {"--flow-shift", "nan"}, 2, "--flow-shift nan"},
    {"boundary",
     "t2v-a14b",
     {"--boundary-ratio", "1.5"},
     2,
     "--boundary-ratio 1.5 is out of range; expected 0 to 1"},
    {"boundary_of_one",
     "ti2v-5b",
     {"--boundary-ratio", "0.5"},
     2,
     "--boundary-ratio: TI2V-5B has one transformer only"},
    {"sigma_grid",
     "t2v-a14b",
     {"--sigma-grid", "karras"},
     2,
     "--sigma-grid: expected diffusers, wan or sglang, got 'karras'"},
    {"seed_overflow",
     "t2v-a14b",
     {"--seed", "99999999999999999999"},
     2,
     "--seed: expected a whole number of at most 64 bits"},
    {"seed_text", "t2v-a14b", {"--seed", "lucky"}, 2, "--seed: expected a whole number"},
    {"threads_zero", "t2v-a14b", {"--threads", "0"}, 2, "--threads"},
    {"threads_huge", "t2v-a14b", {"--threads", "5000"}, 2, "--threads"},
    // Prompts.
    {"prompt_bytes", "t2v-a14b", {"--prompt", kNoUtf8}, 2, "--prompt: invalid UTF-8 at byte 0"},
    {"negative_prompt_bytes",
     "t2v-a14b",
     {"--negative-prompt", "a" + kNoUtf8},
     2,
     "--negative-prompt: invalid UTF-8 at byte 1"},
    // Quantization and kernels.
    {"scheme",
     "t2v-a14b",
     {"--quantization", "fp8"},
     2,
     "--quantization: unknown scheme 'fp8'; expected one of none, mxfp8"},
    {"scheme_empty", "t2v-a14b", {"--quantization", ""}, 2, "--quantization"},
    {"scale_rule",
     "t2v-a14b",
     {"--quantization", "mxfp8", "--mx-scale-rule", "round"},
     2,
     "unknown scale rule 'round'; known: rceil, floor, ceil, even"},
    {"glob_without_layer",
     "t2v-a14b",
     {"--quantization", "mxfp8", "--quantization-ignored-layers", "block.0.*"},
     2,
     "'block.0.*' matches no linear layer"},
    {"second_glob",
     "t2v-a14b",
     {"--quantization", "mxfp8", "--quantization-ignored-layers", "blocks.0.*,nope"},
     2,
     "'nope' matches no linear layer"},
    {"glob_empty",
     "t2v-a14b",
     {"--quantization", "mxfp8", "--quantization-ignored-layers", ""},
     2,
     "--quantization-ignored-layers"},
    {"glob_without_scheme",
     "t2v-a14b",
     {"--quantization-ignored-layers", "blocks.0.*"},
     2,
     "needs a --quantization scheme"},
    {"kernel_form",
     "t2v-a14b",
     {"--kernel", "matmul"},
     2,
     "--kernel: expected OP=ROW, got 'matmul'"},
    {"kernel_op",
     "t2v-a14b",
     {"--kernel", "conv9d=onednn"},
     2,
     "--kernel: no op 'conv9d'; expected one of"},
    {"kernel_row",
     "t2v-a14b",
     {"--kernel", "matmul=fast"},
     2,
     "op matmul has no row 'fast'; expected one of"},
    {"kernel_arguments",
     "t2v-a14b",
     {"--kernel", "matmul=matvec"},
     2,
     "kernel matmul=matvec cannot run: more than 4 rows"},
    // Outputs.
    {"output_extension",
     "t2v-a14b",
     {"--output", "video.avi"},
     2,
     "--output video.avi: expected a name ending in .mp4, .y4m or /"},
    {"output_no_extension",
     "t2v-a14b",
     {"--output", "video"},
     2,
     "--output video: expected a name"},
    {"output_format",
     "t2v-a14b",
     {"--output", "v.mp4", "--output-format", "gif"},
     2,
     "--output-format"},
    {"output_directory_missing",
     "t2v-a14b",
     {"--output", "missing/v.mp4"},
     7,
     "there is no directory missing"},
    {"frames_directory_missing",
     "t2v-a14b",
     {"--output", "missing/frames/"},
     7,
     "there is no directory missing"},
    {"output_is_directory",
     "t2v-a14b",
     {"--output", "@scratch", "--output-format", "mp4"},
     7,
     "is a directory"},
    {"frames_directory_there",
     "t2v-a14b",
     {"--output", "@scratch/"},
     7,
     "already there; frames go to a new directory"},
    {"output_is_device",
     "t2v-a14b",
     {"--output", "@scratch/pipe", "--output-format", "y4m"},
     7,
     "pipe: is no regular file"},
    {"output_name_long", "t2v-a14b", {"--output", kLongName + ".mp4"}, 7, "the name is too long"},
    {"output_line_break",
     "t2v-a14b",
     {"--output", "a\nb/c.mp4"},
     7,
     "a\\x0ab/c.mp4: there is no directory"},
    {"output_empty", "t2v-a14b", {"--output", ""}, 2, "--output"},
    {"output_twice",
     "t2v-a14b",
     {"--output", "a.mp4", "--output-path", "."},
     2,
     "--output excludes --output-path"},
    {"output_file_name_twice",
     "t2v-a14b",
     {"--output", "a.mp4", "--output-file-name", "b.mp4"},
     2,
     "--output excludes"},
    {"output_path_missing",
     "t2v-a14b",
     {"--output-path", "missing"},
     7,
     "there is no directory missing"},
    {"mp4_to_stdout",
     "t2v-a14b",
     {"--output", "-", "--output-format", "mp4"},
     2,
     "only y4m can go to standard output, got mp4"},
    {"png_to_stdout",
     "t2v-a14b",
     {"--output", "-", "--output-format", "png"},
     2,
     "only y4m can go to standard output, got png"},
    {"json_and_stdout",
     "t2v-a14b",
     {"--output", "-", "--json"},
     2,
     "--json and --output - both want standard output"},
    {"report_directory",
     "t2v-a14b",
     {"--output", "v.mp4", "--report", "missing/r.json"},
     7,
     "there is no directory missing"},
    {"report_is_video",
     "t2v-a14b",
     {"--output", "v.mp4", "--report", "./v.mp4"},
     2,
     "need different files"},
    {"report_is_latents",
     "t2v-a14b",
     {"--output", "v.mp4", "--report", "r", "--save-latents", "r"},
     2,
     "need different files"},
    {"latents_directory",
     "t2v-a14b",
     {"--output", "v.mp4", "--save-latents", "missing/l"},
     7,
     "there is no directory missing"},
    {"progress_style", "t2v-a14b", {"--progress", "fancy"}, 2, "--progress: unknown style 'fancy'"},
    {"vae_tiling", "t2v-a14b", {"--vae-tiling", "maybe"}, 2, "--vae-tiling"},
    // Images.
    {"image_for_t2v",
     "t2v-a14b",
     {"--image-path", "@picture"},
     2,
     "--image-path: T2V-A14B takes no image"},
    {"no_image_for_i2v", "i2v-a14b", {}, 2, "--image-path is missing: I2V-A14B needs an image"},
    {"image_missing",
     "i2v-a14b",
     {"--image-path", "nowhere.png"},
     2,
     "--image-path: nowhere.png: cannot open"},
    {"image_is_directory", "i2v-a14b", {"--image-path", "@scratch"}, 7, "--image-path"},
    {"image_is_text",
     "i2v-a14b",
     {"--image-path", "@model/model_index.json"},
     2,
     "expected a PNG, JPEG or WebP image"},
    {"image_is_cut", "i2v-a14b", {"--image-path", "@scratch/cut.png"}, 2, "--image-path"},
    {"last_image_for_ti2v",
     "ti2v-5b",
     {"--last-image-path", "@picture"},
     2,
     "--last-image-path: only I2V-A14B models take a last frame"},
    {"last_image_alone",
     "i2v-a14b",
     {"--last-image-path", "@picture"},
     2,
     "--image-path is missing"},
    {"last_image_missing",
     "i2v-a14b",
     {"--image-path", "@picture", "--last-image-path", "no.png"},
     2,
     "--last-image-path: no.png: cannot open"},
    // Initial noise.
    {"noise_missing",
     "t2v-a14b",
     {"--latents", "no.safetensors"},
     2,
     "--latents: no.safetensors: cannot open"},
    {"noise_no_tensor",
     "t2v-a14b",
     {"--latents", "@model/vae/diffusion_pytorch_model.safetensors"},
     2,
     "no tensor named 'latents'"},
    {"noise_text", "t2v-a14b", {"--latents", "@model/model_index.json"}, 2, "--latents"},
    {"noise_shape",
     "t2v-a14b",
     {"--latents", "@scratch/shape.safetensors"},
     2,
     "--latents: expected shape [16, 2, 4, 4] for this request, got [16, 1, 4, 4]"},
    {"noise_rank",
     "t2v-a14b",
     {"--latents", "@scratch/rank.safetensors"},
     2,
     "expected shape [z, frames, height, width], got [256]"},
    {"noise_nan",
     "t2v-a14b",
     {"--latents", "@scratch/nan.safetensors"},
     2,
     "tensor latents holds NaN or infinity"},
    // Models.
    {"model_missing",
     "t2v-a14b",
     {"--model-path", "/no/such/model"},
     3,
     "'/no/such/model': no such directory"},
    {"model_not_cached",
     "t2v-a14b",
     {"--model-path", "org/name"},
     3,
     "get it with: hf download org/name"},
    {"model_revision",
     "t2v-a14b",
     {"--model-path", "org/name@v1"},
     3,
     "hf download org/name --revision v1"},
    {"model_bad_revision",
     "t2v-a14b",
     {"--model-path", "org/name@../up"},
     2,
     "'../up' is not a branch, tag or commit"},
    {"model_empty",
     "t2v-a14b",
     {"--model-path", ""},
     2,
     "model path: expected a directory or org/name"},
    {"model_is_file",
     "t2v-a14b",
     {"--model-path", "@model/model_index.json"},
     2,
     "expected a directory, got a file"},
    {"model_line_break", "t2v-a14b", {"--model-path", "a\nb"}, 2, "a\\x0ab"},
    {"model_is_no_model", "t2v-a14b", {"--model-path", "@scratch"}, 3, "not a Wan2.2 model"},
    {"model_is_component", "t2v-a14b", {"--model-path", "@model/vae"}, 3, "model_type"},
    // Words that are no flags.
    {"unknown_flag", "t2v-a14b", {"--colour", "red"}, 2, "--colour"},
    {"unknown_short_flag", "t2v-a14b", {"-z"}, 2, "-z"},
    {"stray_word", "t2v-a14b", {"stray"}, 2, "stray"},
    {"flag_without_value", "t2v-a14b", {"--fps"}, 2, "--fps"},
};

class BadFlagsTest : public CliTest, public testing::WithParamInterface<BadFlags> {
 protected:
  void SetUp() override {
    const auto noise = [&](const char* name, std::vector<int64_t> shape, char byte) {
      int64_t count = 4;
      for (const int64_t extent : shape) count *= extent;
      TensorFile{{{"latents", "F32", shape, std::string(static_cast<size_t>(count), byte)}}}.write(
          scratch() / name);
    };
    noise("shape.safetensors", {16, 1, 4, 4}, '\0');
    noise("rank.safetensors", {256}, '\0');
    noise("nan.safetensors", {16, 2, 4, 4}, '\xff');
    // Not a device of this machine: a run that fails the test would replace it.
    ASSERT_EQ(::mkfifo((scratch() / "pipe").c_str(), 0600), 0);
    picture_ = picture();
    std::filesystem::copy_file(picture_, scratch() / "cut.png");
    truncate_file(scratch() / "cut.png");
  }

  Arguments arguments() const {
    Arguments extra = GetParam().extra;
    for (std::string& word : extra) {
      replace(word, "@picture", picture_);
      replace(word, "@scratch", scratch());
      replace(word, "@model", tiny_model(GetParam().variant));
    }
    return generate(GetParam().variant, extra);
  }

 private:
  static void replace(std::string& word, const std::string& name, const std::string& path) {
    if (word.starts_with(name)) word = path + word.substr(name.size());
  }
  std::filesystem::path picture_;
};

TEST_P(BadFlagsTest, OneLineAndNothingWritten) {
  expect_failure(run(arguments()), GetParam().exit_code, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(Generate, BadFlagsTest, testing::ValuesIn(kRequests),
                         [](const auto& each) { return std::string(each.param.name); });

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
    {"two_commands", {"version", "doctor", "x"}, "x"},
};

INSTANTIATE_TEST_SUITE_P(Commands, BadCommandTest, testing::ValuesIn(kCommands),
                         [](const auto& each) { return std::string(each.param.name); });

using EnvironmentTest = CliTest;

TEST_F(EnvironmentTest, BadVariableIsUsageError) {
  ProcessOptions options =
      command({"generate", "-m", tiny_model("t2v-a14b"), "-p", "x", "--size", "32x32"});
  options.environment["MXVIDEO_NUM_FRAMES"] = "many";
  expect_failure(run_process(options), 2,
                 "--num-frames: expected a whole number of at most 64 bits, got 'many'");
}

TEST_F(EnvironmentTest, LongPromptOnStandardInput) {
  ProcessOptions options = command(generate("t2v-a14b", {"--prompt", "-"}));
  options.input = std::string(60000, '\xff');
  expect_failure(run_process(options), 2, "--prompt: invalid UTF-8");
}

}  // namespace
}  // namespace mxvideo::test
