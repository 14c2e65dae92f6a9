// mxvideo generate from the outside: what it writes, where, and that the same request gives the
// same bytes.
#include <random>

#include "e2e/cli_fixture.h"
#include "e2e/damaged_model.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

class GenerateTest : public CliTest {
 protected:
  // The video of a run as y4m bytes.
  std::string y4m(Arguments extra, const std::string& variant = "t2v-a14b") const {
    extra.insert(extra.end(), {"--output", "-"});
    const ProcessResult result = run(generate(variant, extra));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }
  std::string file(const char* name) const { return read_text(work() / name); }
};

// Big-endian number of samples in the first 'stsz' box.
uint32_t mp4_frames(const std::string& mp4) {
  const size_t box = mp4.find("stsz");
  if (box == std::string::npos || box + 16 > mp4.size()) return 0;
  uint32_t count = 0;
  for (size_t i = 12; i < 16; ++i) count = count << 8 | static_cast<uint8_t>(mp4[box + i]);
  return count;
}

void expect_mp4(const std::string& mp4, uint32_t frames) {
  EXPECT_EQ(mp4.substr(4, 4), "ftyp");
  EXPECT_LT(mp4.find("moov"), mp4.find("mdat")) << "not ready for streaming";
  EXPECT_EQ(mp4_frames(mp4), frames);
}

TEST_F(GenerateTest, TextToVideoPrintsOnlyThePath) {
  const ProcessResult result = run(generate("t2v-a14b", {"--output", "fox.mp4"}));
  expect_success(result);
  EXPECT_EQ(result.out, "fox.mp4\n");
  EXPECT_NE(result.err.find("T2V 32x32, 5 frames at 16 fps, 2 steps, seed 7"), std::string::npos);
  EXPECT_EQ(outputs(), Names{"fox.mp4"});
  expect_mp4(file("fox.mp4"), 5);
  EXPECT_NE(file("fox.mp4").find("a red fox in fresh snow"), std::string::npos) << "no recipe";
  EXPECT_NE(file("fox.mp4").find("num_inference_steps"), std::string::npos) << "no recipe";
}

TEST_F(GenerateTest, SavesTheQuantizedModelThatItRuns) {
  const Arguments mxfp8 = {"--quantization", "mxfp8",           "--quantization-ignored-layers",
                           "*.ffn.*",        "--mx-scale-rule", "floor"};
  const std::string online = y4m(mxfp8);
  Arguments saving = mxfp8;
  saving.insert(saving.end(), {"--save-quantized", "saved"});
  EXPECT_EQ(y4m(saving), online);
  EXPECT_EQ(outputs(), Names{"saved"});
  // A copy of its own: the model that it came from is not needed, nor is a flag.
  const ProcessResult again =
      run({"generate", "--model-path", "saved", "--mx-scale-rule", "floor", "--prompt",
           "a red fox in fresh snow", "--size", "32x32", "--num-frames", "5",
           "--num-inference-steps", "2", "--seed", "7", "--output", "-"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.out, online);
}

TEST_F(GenerateTest, ImageToVideo) {
  expect_success(
      run(generate("i2v-a14b", {"--image-path", picture(), "-o", "a.mp4", "--num-frames", "9"})));
  expect_mp4(file("a.mp4"), 9);
  const Arguments both = {"-i", picture(), "--end-img", picture()};
  EXPECT_NE(y4m({"-i", picture()}, "i2v-a14b"), y4m(both, "i2v-a14b"));
}

TEST_F(GenerateTest, TextAndImageToVideo) {
  expect_success(run(generate("ti2v-5b", {"-o", "text.mp4"})));
  expect_success(run(generate("ti2v-5b", {"-o", "image.mp4", "--image", picture()})));
  expect_mp4(file("text.mp4"), 5);
  expect_mp4(file("image.mp4"), 5);
  EXPECT_NE(file("text.mp4"), file("image.mp4"));
}

TEST_F(GenerateTest, Y4mOnStandardOutput) {
  const ProcessResult result = run(generate("t2v-a14b", {"--output", "-", "--fps", "12"}));
  expect_success(result);
  const std::string header = "YUV4MPEG2 W32 H32 F12:1 Ip A1:1 C444 XCOLORRANGE=LIMITED\n";
  EXPECT_EQ(result.out.substr(0, header.size()), header);
  EXPECT_EQ(result.out.size(), header.size() + size_t{5} * (6 + 3 * 32 * 32));
  EXPECT_EQ(outputs(), Names());
}

TEST_F(GenerateTest, Y4mFileHoldsTheSameBytes) {
  expect_success(run(generate("t2v-a14b", {"-o", "v.y4m"})));
  EXPECT_EQ(file("v.y4m"), y4m({}));
}

TEST_F(GenerateTest, PngFrames) {
  const ProcessResult result = run(generate("t2v-a14b", {"-o", "frames/"}));
  expect_success(result);
  EXPECT_EQ(result.out, "frames\n");
  EXPECT_EQ(outputs(), Names{"frames"});
  for (const char* name : {"00000.png", "00001.png", "00002.png", "00003.png", "00004.png"}) {
    EXPECT_EQ(read_text(work() / "frames" / name).substr(0, 8), "\x89PNG\r\n\x1a\n") << name;
  }
}

TEST_F(GenerateTest, NameIsMadeOfPromptAndSeed) {
  const ProcessResult result = run(generate("t2v-a14b", {"--output-path", "."}));
  expect_success(result);
  ASSERT_EQ(outputs().size(), 1u);
  EXPECT_TRUE(outputs().front().starts_with("a-red-fox-in-fresh-snow_"));
  EXPECT_TRUE(outputs().front().ends_with("_7.mp4"));
  EXPECT_EQ(result.out, "./" + outputs().front() + "\n");
}

TEST_F(GenerateTest, JsonIsTheReport) {
  const ProcessResult result =
      run(generate("t2v-a14b", {"-o", "v.mp4", "--json", "--report", "r.json"}));
  expect_success(result);
  const auto printed = nlohmann::json::parse(result.out);
  EXPECT_EQ(printed, read_json(work() / "r.json"));
  EXPECT_EQ(printed.at("output"), "v.mp4");
  EXPECT_EQ(printed.at("seed"), 7);
}

TEST_F(GenerateTest, ReportOfAQuantizedRun) {
  const Arguments extra = {"-o",
                           "v.mp4",
                           "--quantization",
                           "mxfp8",
                           "--quantization-ignored-layers",
                           "blocks.0.*,*.ffn.net.2",
                           "--report",
                           "r.json"};
  expect_success(run(generate("t2v-a14b", extra)));
  const auto report = read_json(work() / "r.json");
  EXPECT_EQ(report.at("model"), "Wan2.2-T2V");
  EXPECT_EQ(report.at("quantization").at("scheme"), "mxfp8");
  EXPECT_EQ(report.at("quantization").at("ignored_layers").size(), 2u);
  EXPECT_EQ(report.at("steps").size(), 2u);
  EXPECT_EQ(report.at("steps").at(0).at("expert"), "transformer");
  EXPECT_EQ(report.at("steps").at(1).at("expert"), "transformer_2");
  EXPECT_GT(report.at("peak_rss_bytes"), 1 << 20);
  EXPECT_EQ(report.at("compute"), "auto");
  EXPECT_EQ(report.at("attention"), "fp32");
  EXPECT_FALSE(report.at("kernels").contains("attention_int8"));
  EXPECT_TRUE(report.at("kernels").contains("gemm_mx"));
  EXPECT_TRUE(report.contains("version"));
  Names stages;
  for (const auto& stage : report.at("stages")) stages.push_back(stage.at("name"));
  for (const char* name : {"load_text_encoder", "encode_prompt", "load_transformer",
                           "load_transformer_2", "denoise", "load_vae", "decode"}) {
    EXPECT_EQ(std::count(stages.begin(), stages.end(), name), 1) << name;
  }
  std::map<std::string, std::string> schemes;
  for (const auto& component : report.at("components")) {
    if (component.at("name") != "transformer") continue;
    EXPECT_LT(component.at("weight_bytes"), component.at("checkpoint_bytes"));
    for (const auto& layer : component.at("layers")) {
      schemes[layer.at("name")] = layer.at("scheme");
      EXPECT_EQ(layer.contains("reason"), layer.at("scheme") == "none") << layer;
      EXPECT_EQ(layer.contains("kernel"), layer.at("scheme") == "mxfp8") << layer;
      if (!layer.contains("kernel")) continue;
      EXPECT_TRUE(report.at("kernels").at("gemm_mx").contains(layer.at("kernel"))) << layer;
      EXPECT_LE(layer.at("added_noise_db"), 0.3) << layer;
    }
  }
  EXPECT_EQ(schemes.at("blocks.0.attn1.to_q"), "none");
  EXPECT_EQ(schemes.at("blocks.1.attn1.to_q"), "mxfp8");
  EXPECT_EQ(schemes.at("blocks.1.ffn.net.2"), "none");
  EXPECT_EQ(schemes.at("proj_out"), "none");
}

TEST_F(GenerateTest, Int8AttentionIsAnotherVideoAndSaysSo) {
  const std::string exact = y4m({});
  const std::string rounded = y4m({"--attention", "int8", "--report", "r.json"});
  EXPECT_EQ(exact.size(), rounded.size());
  EXPECT_NE(exact, rounded);
  const auto report = read_json(work() / "r.json");
  EXPECT_EQ(report.at("attention"), "int8");
  EXPECT_TRUE(report.at("kernels").contains("attention_int8"));
  EXPECT_TRUE(report.at("kernels").contains("attention")) << "of text, cross attention, VAE";
}

TEST_F(GenerateTest, SameSeedSameBytes) {
  const std::string video = y4m({"--quantization", "mxfp8"});
  EXPECT_EQ(video, y4m({"--quantization", "mxfp8"}));
  EXPECT_NE(video, y4m({"--quantization", "mxfp8", "--seed", "8"}));
  EXPECT_NE(video, y4m({}));
}

TEST_F(GenerateTest, ThreadsDoNotChangeBytes) {
  for (const char* scheme : {"none", "mxfp8"}) {
    const std::string video = y4m({"--quantization", scheme, "--threads", "1"});
    EXPECT_EQ(video, y4m({"--quantization", scheme, "--threads", "2"})) << scheme;
    EXPECT_EQ(video, y4m({"--quantization", scheme, "--threads", "3"})) << scheme;
  }
}

TEST_F(GenerateTest, RandomSeedIsPrintedAndRepeats) {
  const ProcessResult first = run(generate("t2v-a14b", {"-o", "-", "--seed", "-1"}));
  const ProcessResult second = run(generate("t2v-a14b", {"-o", "-", "--seed", "-1"}));
  expect_success(first);
  EXPECT_NE(first.out, second.out);
  const size_t at = first.err.find("seed ");
  ASSERT_NE(at, std::string::npos);
  const std::string seed = first.err.substr(at + 5, first.err.find(',', at) - at - 5);
  EXPECT_EQ(first.out, y4m({"--seed", seed}));
}

TEST_F(GenerateTest, GivenNoiseDecidesAlone) {
  TensorFile noise{{{"latents", "F32", {16, 2, 4, 4}, ""}}};
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 512; ++i) {
    const float value = normal(random);
    noise.entries[0].bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  noise.write(work() / "noise.safetensors");
  const Arguments given = {"--latents", "noise.safetensors", "--report", "r.json", "--overwrite"};
  const auto with_seed = [&](const char* seed) {
    Arguments extra = given;
    extra.insert(extra.end(), {"--seed", seed});
    return y4m(extra);
  };
  const std::string video = with_seed("1");
  EXPECT_EQ(video, with_seed("2"));
  EXPECT_NE(video, y4m({"--seed", "1"}));
  EXPECT_TRUE(read_json(work() / "r.json").at("seed").is_null());
}

TEST_F(GenerateTest, AliasesMeanTheSame) {
  const std::string size = "48x32", model = tiny_model("t2v-a14b");
  const std::string video = y4m({"--size", size, "--guidance-scale", "3", "--guidance-scale-2", "2",
                                 "--flow-shift", "4", "--boundary-ratio", "0.8"});
  const std::vector<Arguments> spellings = {{"--ckpt_dir",
                                             model,
                                             "--prompt",
                                             "a red fox in fresh snow",
                                             "--size",
                                             "48*32",
                                             "--frame_num",
                                             "5",
                                             "--sample_steps",
                                             "2",
                                             "--sample_guide_scale",
                                             "3",
                                             "--guidance-low",
                                             "2",
                                             "--sample_shift",
                                             "4",
                                             "--moe-boundary",
                                             "0.8",
                                             "--base_seed",
                                             "7",
                                             "--save_file",
                                             "-"},
                                            {"-m",
                                             model,
                                             "-p",
                                             "a red fox in fresh snow",
                                             "-W",
                                             "48",
                                             "-H",
                                             "32",
                                             "--video-frames",
                                             "5",
                                             "--steps",
                                             "2",
                                             "--high-noise-cfg-scale",
                                             "3",
                                             "--cfg-scale",
                                             "2",
                                             "--flow-shift",
                                             "4",
                                             "--moe-boundary",
                                             "0.8",
                                             "-s",
                                             "7",
                                             "--type",
                                             "none",
                                             "-o",
                                             "-"},
                                            {"--model",
                                             model,
                                             "--prompt",
                                             "a red fox in fresh snow",
                                             "--size",
                                             "48,32",
                                             "--num-frames",
                                             "5",
                                             "--num-inference-steps",
                                             "2",
                                             "--guidance-high",
                                             "3",
                                             "--guidance-scale-2",
                                             "2",
                                             "--flow-shift",
                                             "4",
                                             "--boundary-ratio",
                                             "0.8",
                                             "--seed",
                                             "7",
                                             "--output",
                                             "-"}};
  for (Arguments arguments : spellings) {
    arguments.insert(arguments.begin(), "generate");
    const ProcessResult result = run(arguments);
    expect_success(result);
    EXPECT_TRUE(result.out == video) << arguments[1];
  }
}

TEST_F(GenerateTest, EnvironmentStandsInForFlags) {
  ProcessOptions options = command({"generate", "--seed", "7"});
  options.environment.insert({{"MXVIDEO_MODEL_PATH", tiny_model("t2v-a14b")},
                              {"MXVIDEO_PROMPT", "a red fox in fresh snow"},
                              {"MXVIDEO_SIZE", "32x32"},
                              {"MXVIDEO_NUM_FRAMES", "5"},
                              {"MXVIDEO_NUM_INFERENCE_STEPS", "2"},
                              {"MXVIDEO_QUANTIZATION", "mxfp8"},
                              {"MXVIDEO_SEED", "999"},
                              {"MXVIDEO_OUTPUT", "-"}});
  const ProcessResult result = run_process(options);
  expect_success(result);
  EXPECT_TRUE(result.out == y4m({"--quantization", "mxfp8"})) << "a flag wins over its variable";
}

TEST_F(GenerateTest, PromptFromStandardInput) {
  ProcessOptions options = command(generate("t2v-a14b", {"--prompt", "-", "-o", "-"}));
  options.input = "a red fox in fresh snow\n";
  const ProcessResult result = run_process(options);
  expect_success(result);
  EXPECT_TRUE(result.out == y4m({}));
}

TEST_F(GenerateTest, ModelFromTheHuggingFaceCache) {
  const std::string commit(40, 'c');
  const fs::path repository = scratch() / "hub/models--Org--Tiny-Wan";
  fs::create_directories(repository / "refs");
  fs::create_directories(repository / "snapshots");
  write_text(repository / "refs/main", commit);
  fs::copy(tiny_model("t2v-a14b"), repository / "snapshots" / commit, fs::copy_options::recursive);
  for (const std::string model : {"Org/Tiny-Wan", "Org/Tiny-Wan@main"}) {
    ProcessOptions options = command(generate("t2v-a14b", {"--model-path", model, "-o", "-"}));
    options.environment["HF_HUB_CACHE"] = scratch() / "hub";
    const ProcessResult result = run_process(options);
    expect_success(result);
    EXPECT_TRUE(result.out == y4m({}));
  }
  ProcessOptions options = command(generate("t2v-a14b", {"--model-path", "Org/Tiny-Wan@v2"}));
  options.environment["HF_HUB_CACHE"] = scratch() / "hub";
  expect_failure(run_process(options), 3, "revision 'v2' is not in");
}

TEST_F(GenerateTest, TilingAndForcedKernelsAreHonoured) {
  const Arguments extra = {
      "-o", "v.mp4", "--vae-tiling", "on", "--kernel", "matmul=reference", "--report", "r.json"};
  expect_success(run(generate("t2v-a14b", extra)));
  const auto matmul = read_json(work() / "r.json").at("kernels").at("matmul");
  EXPECT_EQ(matmul.size(), 1u);
  EXPECT_TRUE(matmul.contains("reference"));
}

TEST_F(GenerateTest, FileNamesNeedNotBeUtf8) {
  const ProcessResult result = run(generate("t2v-a14b", {"-o", "\xff.mp4", "--report", "r.json"}));
  expect_success(result);
  EXPECT_EQ(result.out, "\xff.mp4\n");
  EXPECT_EQ(read_json(work() / "r.json").at("output"), "\xef\xbf\xbd.mp4");
}

}  // namespace
}  // namespace mxvideo::test
