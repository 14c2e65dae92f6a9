// mxvideo inspect: what it says about good and broken files.
#include "e2e/cli_fixture.h"
#include "e2e/damaged_model.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;

class InspectTest : public CliTest {
 protected:
  fs::path copy(const std::string& variant) const {
    fs::path path = scratch() / "model";
    fs::copy(tiny_model(variant), path, fs::copy_options::recursive);
    return path;
  }
};

TEST_F(InspectTest, ListsComponentsOfAModel) {
  const ProcessResult result = run({"inspect", tiny_model("t2v-a14b").string(), "--json"});
  expect_success(result);
  const auto components = nlohmann::json::parse(result.out).at("components");
  ASSERT_EQ(components.size(), 4u);
  EXPECT_EQ(components[0].at("name"), "text_encoder");
  const auto& transformer = components[1];
  EXPECT_EQ(transformer.at("name"), "transformer");
  EXPECT_EQ(transformer.at("kind"), "transformer");
  EXPECT_EQ(transformer.at("naming_style"), "diffusers");
  EXPECT_EQ(transformer.at("quantization"), "none");
  EXPECT_EQ(transformer.at("tensors"), 69);
  EXPECT_EQ(transformer.at("dtypes").at("BF16").at("tensors"), 69);
  EXPECT_EQ(transformer.at("layer_types").at("attn1.to_q"), nlohmann::json({{"FLOAT", 2}}));
  EXPECT_EQ(transformer.at("effective"), nlohmann::json({{"none", 26}}));
  EXPECT_EQ(transformer.at("stored_bits_per_weight"), 16);
  EXPECT_FALSE(transformer.contains("layers"));
  EXPECT_FALSE(transformer.contains("tensor_list"));
}

TEST_F(InspectTest, ListsLayersAndTensorsOfOneFile) {
  const fs::path file =
      tiny_model("t2v-a14b") / "transformer" / "diffusion_pytorch_model.safetensors";
  const ProcessResult result = run({"inspect", file.string(), "--json", "--layers", "--tensors"});
  expect_success(result);
  const auto part = nlohmann::json::parse(result.out).at("components").at(0);
  EXPECT_EQ(part.at("kind"), "transformer");
  EXPECT_EQ(part.at("layers").size(), 26u);
  EXPECT_EQ(part.at("layers").at(0).at("weight_bits"), 16);
  EXPECT_EQ(part.at("tensor_list").size(), 69u);
  const ProcessResult text = run({"inspect", file.string(), "--layers", "--tensors"});
  expect_success(text);
  EXPECT_NE(text.out.find("blocks.0.attn1.to_q.weight"), std::string::npos);
}

TEST_F(InspectTest, ListsTheRestOfAModelWithAnUnreadableFile) {
  const fs::path model = copy("t2v-a14b");
  truncate_file(model / "transformer" / "diffusion_pytorch_model.safetensors");
  const ProcessResult inspected = run({"inspect", model.string(), "--json"});
  EXPECT_EQ(inspected.exit_code, 3);
  const auto json = nlohmann::json::parse(inspected.out);
  EXPECT_FALSE(json.at("runs"));
  const auto components = json.at("components");
  ASSERT_EQ(components.size(), 4u);
  EXPECT_EQ(components[1].at("tensors"), 0);
  const std::string problem = components[1].at("problems").at(0);
  EXPECT_NE(problem.find("diffusion_pytorch_model.safetensors: truncated"), std::string::npos);
  EXPECT_EQ(components[2].at("tensors"), 69);
  EXPECT_EQ(components[2].at("problems").size(), 0u);
  const ProcessResult generated =
      run(generate("t2v-a14b", {"--model-path", model.string(), "--output", "x.y4m"}));
  EXPECT_EQ(inspected.err, generated.err);
}

TEST_F(InspectTest, ListsWhatDoesNotRunAndSaysWhy) {
  const fs::path file = scratch() / "vace.safetensors";
  fs::copy_file(tiny_model("t2v-a14b") / "transformer" / "diffusion_pytorch_model.safetensors",
                file);
  edit_tensors(file, [](TensorFile& f) {
    f.entries.push_back({"vace_blocks.0.before_proj.weight", "F32", {1}, "abcd"});
  });
  const ProcessResult text = run({"inspect", file.string(), "--tensors"});
  expect_success(text);
  EXPECT_NE(text.out.find("a Wan-VACE transformer"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("does not run: "), std::string::npos);
  EXPECT_NE(text.out.find("1 unexpected: vace_blocks.0.before_proj.weight"), std::string::npos);
  EXPECT_NE(text.out.find("attn1.to_q"), std::string::npos);
  const ProcessResult json = run({"inspect", file.string(), "--json"});
  expect_success(json);
  const auto part = nlohmann::json::parse(json.out).at("components").at(0);
  EXPECT_EQ(part.at("family"), "a Wan-VACE transformer");
  EXPECT_EQ(part.at("tensors"), 70);
}

// ComfyUI's own words for layers that other programs quantized; the rest is listed.
TEST_F(InspectTest, ListsMixedLayersRunnableOrNot) {
  const fs::path file = scratch() / "mixed.safetensors";
  fs::copy_file(tiny_model("t2v-a14b") / "transformer" / "diffusion_pytorch_model.safetensors",
                file);
  edit_tensors(file, [](TensorFile& f) {
    const std::string marker = R"({"format": "nvfp4"})";
    for (const std::string layer : {"blocks.0.attn1.to_q", "blocks.1.attn1.to_q"}) {
      TensorFile::Entry& weight = f.at(layer + ".weight");
      weight.dtype = "U8";
      weight.shape[1] /= 2;
      weight.bytes.resize(weight.bytes.size() / 4);
      f.entries.push_back(
          {layer + ".comfy_quant", "U8", {static_cast<int64_t>(marker.size())}, marker});
    }
  });
  const ProcessResult text = run({"inspect", file.string()});
  expect_success(text);
  EXPECT_NE(text.out.find("does not run: 2 x nvfp4"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("2 x nvfp4\n"), std::string::npos);
  EXPECT_NE(text.out.find("attn1.to_k"), std::string::npos);
  const ProcessResult json = run({"inspect", file.string(), "--json"});
  expect_success(json);
  EXPECT_FALSE(nlohmann::json::parse(json.out).at("runs"));
  expect_failure(
      run(generate("t2v-a14b", {"--transformer-weights-path", file.string(), "-o", "x.y4m"})), 3,
      "expected layers of ComfyUI's format mxfp8 or not quantized, got nvfp4 (2 layers: "
      "blocks.{0,1}.attn1.to_q)");
}

TEST_F(InspectTest, ListsTheFoldersOfAModelOfAnotherClass) {
  const fs::path model = copy("t2v-a14b");
  edit_json(model / "model_index.json",
            [](nlohmann::json& json) { json["_class_name"] = "WanVACEPipeline"; });
  const ProcessResult result = run({"inspect", model.string()});
  expect_success(result);
  EXPECT_NE(result.out.find("is no model that runs: "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("WanVACEPipeline"), std::string::npos);
  for (const char* part : {"transformer (transformer)", "transformer_2 (transformer)",
                           "text_encoder (text_encoder)", "vae (vae)"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << result.out;
  }
}

TEST_F(InspectTest, RefusesWhatIsNoModel) {
  expect_failure(run({"inspect", (scratch() / "nothing").string()}), 3, "nothing");
  expect_failure(run({"inspect", work().string()}), 3, "no checkpoint");
  expect_failure(run({"inspect"}), 2, "path is required");
}

}  // namespace
}  // namespace mxvideo::test
