// Files of other kinds and other models where a model's are asked for: named first, by every
// command that reads them; and files with harmless additions, which run.
#include <functional>

#include "e2e/cli_fixture.h"
#include "e2e/damaged_model.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;
using Edit = std::function<void(TensorFile&)>;

constexpr const char* kVariant = "ti2v-5b";
const std::string kPointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

TensorFile::Entry bf16(const std::string& name, std::vector<int64_t> shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return {name, "BF16", std::move(shape), std::string(static_cast<size_t>(2 * count), '\0')};
}

class ForeignFilesTest : public CliTest {
 protected:
  static fs::path weights_of_model() {
    return tiny_model(kVariant) / "transformer" / "diffusion_pytorch_model.safetensors";
  }
  fs::path written(const std::string& name, const std::string& bytes) const {
    write_text(scratch() / name, bytes);
    return scratch() / name;
  }
  fs::path edited(const std::string& name, const Edit& edit) const {
    fs::copy_file(weights_of_model(), scratch() / name);
    edit_tensors(scratch() / name, edit);
    return scratch() / name;
  }
  fs::path copy() const {
    fs::path path = scratch() / "model";
    fs::copy(tiny_model(kVariant), path, fs::copy_options::recursive);
    return path;
  }
  ProcessResult generate_with(const fs::path& weights, const Arguments& extra = {}) const {
    Arguments arguments = {"--transformer-weights-path", weights.string(), "-o", "x.y4m",
                           "--overwrite"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    return run(generate(kVariant, arguments));
  }
  // Every command that takes a file of weights.
  void expect_named(const fs::path& weights, const std::string& fragment) const {
    const std::string path = weights.string();
    expect_failure(generate_with(weights), 3, fragment);
    expect_failure(run({"quantize", "--model-path", path, "-o", "q"}), 3, fragment);
    expect_failure(run({"repack", "--quant-path", path, "-o", "r"}), 3, fragment);
  }
  std::string pixels(const fs::path& weights, const Arguments& extra = {}) {
    expect_success(generate_with(weights, extra));
    const std::string text = read_text(work() / "x.y4m");
    fs::remove_all(work());
    fs::create_directory(work());
    return text;
  }
};

TEST_F(ForeignFilesTest, ContainersAreNamedByEveryCommand) {
  const std::string zip = "PK\x03\x04\x14\0\0\0\0\0"s + std::string(12, '\0') +
                          "\1\0\0\0\x10\0\0\0"s + "archive/data.pklx";
  const std::vector<std::pair<fs::path, std::string>> files = {
      {written("a.gguf", "GGUF\3\0\0\0\1\0\0\0\0\0\0\0"s), "a.gguf: is a GGUF file"},
      {written("b.safetensors", zip), "b.safetensors: is a PyTorch checkpoint"},
      {written("c.safetensors", kPointer), "is a Git LFS pointer"},
      {written("d.safetensors", "<!doctype html><html></html>"), "is a web page"},
      {written("e.safetensors", ""), "is an empty file"},
      {written("f.safetensors", std::string(100, '\0')), "holds nothing but zeros"},
  };
  for (const auto& [path, fragment] : files) {
    expect_named(path, fragment);
    expect_failure(run({"inspect", path.string()}), 3, fragment);
    expect_failure(run({"verify", path.string()}), 3, fragment);
  }
}

TEST_F(ForeignFilesTest, PointersAreNamedWhereverAModelHasAFile) {
  for (const char* file :
       {"model_index.json", "transformer/config.json", "text_encoder/model.safetensors",
        "vae/diffusion_pytorch_model.safetensors", "tokenizer/spiece.model",
        "scheduler/scheduler_config.json"}) {
    const fs::path model = copy();
    write_text(model / file, kPointer);
    const ProcessResult result =
        run(generate(kVariant, {"--model-path", model.string(), "-o", "x.y4m", "--overwrite"}));
    expect_failure(result, 3, std::string(file) + ": is a Git LFS pointer");
    fs::remove_all(model);
  }
  const fs::path latents = written("latents.safetensors", kPointer);
  expect_failure(run(generate(kVariant, {"--latents", latents.string(), "-o", "x.y4m"})), 2,
                 "is a Git LFS pointer");
}

TEST_F(ForeignFilesTest, OtherModelsAreNamedBeforeTheirTensorsAreListed) {
  const auto vace = edited("vace.safetensors", [](TensorFile& f) {
    f.entries.push_back(bf16("vace_blocks.0.before_proj.weight", {4, 4}));
  });
  expect_named(vace, "vace.safetensors: is a Wan-VACE transformer");
  const auto blocks = edited("blocks.safetensors", [](TensorFile& f) {
    std::erase_if(f.entries, [](const auto& e) { return !e.name.starts_with("blocks."); });
  });
  expect_named(blocks, "is the blocks of a Wan transformer without the tensors around them");
  const auto lora = edited("lora.safetensors", [](TensorFile& f) {
    f.entries = {bf16("diffusion_model.blocks.0.self_attn.q.lora_down.weight", {4, 5120}),
                 bf16("diffusion_model.blocks.0.self_attn.q.lora_up.weight", {5120, 4})};
  });
  expect_named(lora, "lora.safetensors: is a LoRA for a Wan transformer of width 5120 (14B)");
  const auto shard = edited("wan-00001-of-00002.safetensors",
                            [](TensorFile& f) { f.entries.resize(f.entries.size() / 2); });
  expect_named(shard, "is shard 1 of 2 of a checkpoint");
  const fs::path vae = tiny_model(kVariant) / "vae" / "diffusion_pytorch_model.safetensors";
  expect_named(vae, "is a Wan VAE with 48 latent channels, expected a transformer");
}

TEST_F(ForeignFilesTest, AModelWithoutAnyTokenizerIsRefused) {
  const fs::path model = copy();
  fs::remove_all(model / "tokenizer");
  expect_failure(
      run(generate(kVariant, {"--model-path", model.string(), "-o", "x.y4m", "--overwrite"})), 3,
      "tokenizer: no tokenizer: expected spiece.model");
}

TEST_F(ForeignFilesTest, MissingTensorsOfAllBlocksAreOnePattern) {
  const auto file = edited("holes.safetensors", [](TensorFile& f) {
    std::erase_if(f.entries, [](const auto& e) { return e.name.ends_with(".attn1.to_q.weight"); });
  });
  expect_failure(generate_with(file), 3, "2 missing: blocks.{0,1}.attn1.to_q.weight");
}

TEST_F(ForeignFilesTest, ScaledFp8IsNamedAndNotAskedForMarkers) {
  const auto file = edited("scaled.safetensors", [](TensorFile& f) {
    TensorFile::Entry& weight = f.at("blocks.0.attn1.to_q.weight");
    weight.dtype = "F8_E4M3";
    weight.bytes.resize(weight.bytes.size() / 2);
    f.entries.push_back({"blocks.0.attn1.to_q.scale_weight", "F32", {1}, "\0\0\x80\x3f"s});
    f.entries.push_back({"scaled_fp8", "F8_E4M3", {2}, "\0\0"s});
  });
  expect_named(file, "weights are in ComfyUI's fp8_scaled form; mxvideo runs BF16");
  EXPECT_EQ(generate_with(file).err.find("comfy_quant markers"), std::string::npos);
}

TEST_F(ForeignFilesTest, LeftoversAndPrefixesRunWithTheSameBits) {
  const std::string reference = pixels(weights_of_model());
  const auto wrapped = edited("wrapped.safetensors", [](TensorFile& f) {
    for (auto& entry : f.entries) entry.name = "module._orig_mod.model." + entry.name;
    f.entries.push_back({"module._orig_mod.model.scaled_fp8", "F8_E4M3", {0}, ""});
  });
  const std::string line = "tensor scaled_fp8 is ignored: a leftover";
  const ProcessResult planned =
      run({"plan", "--model-path", tiny_model(kVariant).string(), "--transformer-weights-path",
           wrapped.string(), "--json", "--size", "64x64", "--num-frames", "5"});
  EXPECT_NE(planned.out.find(line), std::string::npos) << planned.out << planned.err;
  const ProcessResult generated = generate_with(wrapped, {"--report", "report.json"});
  expect_success(generated);
  EXPECT_NE(generated.err.find(line), std::string::npos) << generated.err;
  EXPECT_TRUE(read_text(work() / "x.y4m") == reference);
  EXPECT_NE(read_text(work() / "report.json").find(line), std::string::npos);
  for (const Arguments& command :
       {Arguments{"inspect", wrapped.string()}, Arguments{"verify", wrapped.string()}}) {
    const ProcessResult result = run(command);
    expect_success(result);
    EXPECT_NE(result.out.find(line), std::string::npos) << result.out;
  }
  const ProcessResult quantized = run({"quantize", "--model-path", wrapped.string(), "--layout",
                                       "comfy", "-o", "q", "--progress", "plain"});
  expect_success(quantized);
  EXPECT_NE(quantized.err.find(line), std::string::npos) << quantized.err;
}

TEST_F(ForeignFilesTest, ATextEncoderWithTheTokenizerInItRuns) {
  const fs::path model = copy();
  const std::string reference = pixels(weights_of_model());
  const std::string spiece = read_text(model / "tokenizer" / "spiece.model");
  edit_tensors(model / "text_encoder" / "model.safetensors", [&](TensorFile& f) {
    f.entries.push_back({"spiece_model", "U8", {static_cast<int64_t>(spiece.size())}, spiece});
  });
  const ProcessResult result =
      run(generate(kVariant, {"--model-path", model.string(), "-o", "x.y4m", "--overwrite"}));
  expect_success(result);
  EXPECT_NE(result.err.find("tensor spiece_model is no weight"), std::string::npos) << result.err;
  EXPECT_TRUE(read_text(work() / "x.y4m") == reference);
  // It is the tokenizer of a model that has no other.
  fs::remove_all(model / "tokenizer");
  fs::remove(work() / "x.y4m");
  expect_success(
      run(generate(kVariant, {"--model-path", model.string(), "-o", "x.y4m", "--overwrite"})));
  EXPECT_TRUE(read_text(work() / "x.y4m") == reference);
}

}  // namespace
}  // namespace mxvideo::test
