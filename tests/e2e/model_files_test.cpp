// Which files a run takes for what: experts by name, identity and content; folders for files and
// files for folders; caches as Hugging Face makes them and people leave them; links; tokenizers.
#include <algorithm>

#include "e2e/quantized_fixture.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;

const std::string kWeights = "diffusion_pytorch_model.safetensors";
const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";

class ModelFilesTest : public QuantizedTest {
 protected:
  // The experts of the tiny T2V model as two files.
  fs::path place(const std::string& expert, const fs::path& name) const {
    const fs::path path = scratch() / name;
    fs::create_directories(path.parent_path());
    fs::copy_file(tiny_model("t2v-a14b") / expert / kWeights, path);
    return path;
  }
  ProcessResult generate_with(const Arguments& extra) const {
    Arguments all = {"--output", "-"};
    all.insert(all.end(), extra.begin(), extra.end());
    ProcessOptions options = command(generate("t2v-a14b", all));
    options.output_file = scratch() / "video.y4m";
    return run_process(options);
  }
  static Arguments experts(const fs::path& high, const fs::path& low) {
    return {"--transformer-weights-path", high, "--transformer-2-weights-path", low};
  }
  // A repository org/name in the cache below HOME: blobs, and links in the snapshot. The names are
  // prefixes of the files that were not downloaded; the listing of the repository has them.
  fs::path cache(const std::string& name, const fs::path& model,
                 const std::vector<std::string>& without) const {
    const fs::path repository = scratch() / ".cache/huggingface/hub" / ("models--org--" + name);
    const fs::path snapshot = repository / "snapshots" / kCommit;
    for (const char* folder : {"blobs", "refs", "trees"}) {
      fs::create_directories(repository / folder);
    }
    write_text(repository / "refs/main", kCommit);
    nlohmann::json tree = {{"format_version", 1}, {"files", nlohmann::json::object()}};
    int blobs = 0;
    for (const auto& [file, bytes] : files_of(model)) {
      tree["files"][file] = {{"size", bytes.size()}};
      const auto left_out = [&](const std::string& prefix) { return file.starts_with(prefix); };
      if (std::any_of(without.begin(), without.end(), left_out)) continue;
      const fs::path blob = repository / "blobs" / std::to_string(blobs++);
      write_text(blob, bytes);
      fs::create_directories((snapshot / file).parent_path());
      fs::create_symlink(fs::relative(blob, (snapshot / file).parent_path()), snapshot / file);
    }
    write_text(repository / "trees" / (kCommit + ".json"), tree.dump());
    return snapshot;
  }
};

struct Spelling {
  const char *high, *low;
};

TEST_F(ModelFilesTest, ExchangedExpertsAreRefusedInEverySpelling) {
  for (const Spelling& spelling :
       {Spelling{"Wan2_2-T2V-A14B-HIGH_bf16", "Wan2_2-T2V-A14B-LOW_bf16"},
        {"Wan2.2-T2V-A14B-HighNoise", "Wan2.2-T2V-A14B-LowNoise"},
        {"wan22-high-noise-14b", "wan22-low-noise-14b"},
        {"wan2.2_t2v_high_noise_14B", "wan2.2_t2v_low_noise_14B"},
        {"myMixT2V_v3High", "myMixT2V_v3Low"},
        {"high_noise_model/a", "low_noise_model/a"}}) {
    SCOPED_TRACE(spelling.high);
    const fs::path high = place("transformer", std::string(spelling.high) + ".safetensors");
    const fs::path low = place("transformer_2", std::string(spelling.low) + ".safetensors");
    expect_failure(generate_with(experts(low, high)), 2, "is the expert for high noise; got");
    expect_failure(generate_with({"--transformer-2-weights-path", high}), 2,
                   "transformer_2 is the expert for low noise; got");
    expect_failure(run({"quantize", "--high-noise-model", low, "--low-noise-model", high,
                        "--layout", "comfy", "--output", target()}),
                   2, "is the expert for high noise; got");
  }
}

TEST_F(ModelFilesTest, AFolderThatOnlyContainsTheWordsDecidesNothing) {
  const fs::path high = place("transformer", "low_noise_experiments/one.safetensors");
  const fs::path low = place("transformer_2", "high_noise_experiments/wan_LOW.safetensors");
  expect_success(generate_with(experts(high, low)));
}

TEST_F(ModelFilesTest, OneFileForBothExpertsIsRefused) {
  const fs::path file = place("transformer", "a.safetensors");
  fs::create_symlink(file, scratch() / "b.safetensors");
  const fs::path copy = place("transformer", "c.safetensors");
  expect_failure(generate_with(experts(file, file)), 2, "both experts are read from one file");
  expect_failure(generate_with(experts(file, scratch() / "b.safetensors")), 2,
                 "both experts are read from one file");
  expect_failure(generate_with(experts(file, copy)), 2, "both experts are the same");
  expect_failure(run({"quantize", "--high-noise-model", file, "--low-noise-model", file, "--layout",
                      "comfy", "--output", target()}),
                 2, "both experts are read from one file");
}

TEST_F(ModelFilesTest, ExchangedExpertsAreKnownByTheirContent) {
  const fs::path high = place("transformer", "a.safetensors");
  const fs::path low = place("transformer_2", "b.safetensors");
  const std::string base = tiny_model("t2v-a14b");
  expect_success(generate_with(experts(high, low)));
  expect_failure(generate_with(experts(low, high)), 8, "the experts are swapped");
  expect_failure(run({"quantize", "--high-noise-model", low, "--low-noise-model", high, "--layout",
                      "comfy", "--original-model-path", base, "--output", target()}),
                 8, "the experts are swapped");
}

TEST_F(ModelFilesTest, FoldersOfExpertsAreTakenByName) {
  place("transformer", "pair/Wan2_2-T2V-A14B-HIGH_bf16.safetensors");
  place("transformer_2", "pair/Wan2_2-T2V-A14B-LOW_bf16.safetensors");
  const fs::path pair = scratch() / "pair";
  const std::string expected = latents("t2v-a14b", {});
  EXPECT_EQ(latents("t2v-a14b", experts(pair, pair)), expected);
  EXPECT_EQ(latents("t2v-a14b", {"--transformer-path", pair, "--transformer-2-path", pair}),
            expected);
  const fs::path model = tiny_model("t2v-a14b");
  EXPECT_EQ(latents("t2v-a14b", experts(model, model)), expected);
  const fs::path quantized = target();
  expect_success(run({"quantize", "--model-path", pair, "--layout", "comfy", "--output", quantized,
                      "--progress", "none"}));
  expect_success(run({"inspect", quantized}));
  const ProcessResult verified = run({"verify", quantized, "--original", model});
  expect_success(verified);
  EXPECT_NE(verified.out.find("transformer_2 (transformer): "), std::string::npos) << verified.out;
  expect_success(generate_with(experts(quantized, quantized)));
}

TEST_F(ModelFilesTest, AFileForAModelNamesTheFlagThatTakesIt) {
  const fs::path high = place("transformer", "wan.safetensors");
  const fs::path low = place("transformer_2", "wan_low_noise.safetensors");
  expect_failure(generate_with({"--model-path", high}), 2, "go to --transformer-weights-path");
  expect_failure(generate_with({"--model-path", low}), 2, "go to --transformer-2-weights-path");
  expect_success(generate_with({"--model-path", tiny_model("t2v-a14b") / "model_index.json"}));
}

TEST_F(ModelFilesTest, OnlyWhatTheRunReadsMustBeInTheCache) {
  const fs::path model = copy_of(tiny_model("t2v-a14b"));
  write_text(model / "vae/diffusion_pytorch_model.fp16.safetensors", "x");
  write_text(model / "transformer/diffusion_pytorch_model.fp16-00001-of-00002.safetensors", "x");
  cache("variants", model,
        {"vae/diffusion_pytorch_model.fp16", "transformer/diffusion_pytorch_model.fp16"});
  expect_success(generate_with({"--model-path", "org/variants"}));

  const fs::path high = place("transformer", "a.safetensors");
  const fs::path low = place("transformer_2", "b.safetensors");
  cache("bare", model, {"transformer/diffusion", "transformer_2/"});
  expect_failure(generate_with({"--model-path", "org/bare"}), 3, "hf download org/bare");
  expect_failure(generate_with({"--model-path", "org/bare", "--transformer-weights-path", high}), 3,
                 "transformer_2/");
  Arguments both = experts(high, low);
  both.insert(both.end(), {"--model-path", "org/bare"});
  const ProcessResult result = generate_with(both);
  expect_success(result);
  EXPECT_NE(result.err.find("transformer_2: config.json is not there; uses"), std::string::npos)
      << result.err;
}

TEST_F(ModelFilesTest, RepositoriesAreTakenForParts) {
  const fs::path model = tiny_model("t2v-a14b");
  cache("whole", model, {});
  const std::string expected = latents("t2v-a14b", {});
  EXPECT_EQ(latents("t2v-a14b", experts("org/whole", "org/whole")), expected);
  EXPECT_EQ(latents("t2v-a14b", {"--transformer-2-path", "org/whole@" + kCommit}), expected);
  expect_success(run({"inspect", "org/whole"}));
  expect_success(run({"verify", "org/whole", "--original", "org/whole"}));
  const fs::path comfy = target();
  expect_success(run({"quantize", "--model-path", "org/whole", "--layout", "comfy", "--output",
                      comfy, "--progress", "none"}));
  expect_success(run({"quantize", "--high-noise-model", model / "transformer", "--low-noise-model",
                      model / "transformer_2", "--original-model-path", "org/whole", "--output",
                      scratch() / "q", "--progress", "none"}));
  expect_success(run({"repack", "--quant-path", "org/whole", "--layout", "modelslim", "--output",
                      scratch() / "r", "--progress", "none"}));
}

TEST_F(ModelFilesTest, ALinkOutOfTheModelIsAQuestionOfTrust) {
  const fs::path model = copy_of(tiny_model("t2v-a14b"));
  const fs::path shelf = place("transformer", "shelf/wan.safetensors");
  fs::remove(model / "transformer" / kWeights);
  fs::create_symlink(shelf, model / "transformer" / kWeights);
  const ProcessResult refused = generate_with({"--model-path", model});
  expect_failure(refused, 3, "--allow-links follows it");
  EXPECT_EQ(refused.err.find("corrupt"), std::string::npos) << refused.err;
  expect_success(generate_with({"--model-path", model, "--allow-links"}));
  for (const char* command : {"inspect", "verify"}) {
    EXPECT_NE(run({command, model}).exit_code, 0);
    expect_success(run({command, model, "--allow-links"}));
  }
}

TEST_F(ModelFilesTest, TokenizerJsonAloneRunsAlike) {
  const fs::path model = copy_of(tiny_model("t2v-a14b"));
  const std::string expected = latents("t2v-a14b", {"--model-path", model});
  fs::remove(model / "tokenizer/spiece.model");
  fs::remove(model / "tokenizer/special_tokens_map.json");
  EXPECT_EQ(latents("t2v-a14b", {"--model-path", model}), expected);
  expect_success(run({"verify", model}));

  fs::remove(model / "tokenizer/tokenizer.json");
  EXPECT_EQ(run({"verify", model}).exit_code, 8);
  EXPECT_NE(run({"inspect", model}).out.find("tokenizer: cannot be used: "), std::string::npos);
  const ProcessResult quantized = run(
      {"quantize", "--model-path", model, "--output", target(), "--copy", "--progress", "none"});
  EXPECT_NE(quantized.err.find("no run can use tokenizer: "), std::string::npos) << quantized.err;
}

}  // namespace
}  // namespace mxvideo::test
