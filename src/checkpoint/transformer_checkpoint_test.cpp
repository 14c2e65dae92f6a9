#include "checkpoint/transformer_checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/file/atomic_file.h"
#include "checkpoint/comfy_quant.h"
#include "checkpoint/safetensors_writer.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

using mxvideo::test::TemporaryDirectory;
using test::expect_error_with;

Tensor bytes_of(const std::string& text) {
  Tensor tensor(DType::kU8, {static_cast<int64_t>(text.size())});
  std::memcpy(tensor.data(), text.data(), text.size());
  return tensor;
}

// A directory with one quantized layer (q), one float layer (k) and what a test adds.
class TransformerCheckpointTest : public testing::Test {
 protected:
  TransformerCheckpointTest() {
    add("blocks.0.self_attn.q.weight", Tensor(DType::kF8E4M3, {2, 64}));
    add("blocks.0.self_attn.q.weight_scale", Tensor(DType::kU8, {2, 2}));
    add("blocks.0.self_attn.k.weight", Tensor(DType::kBF16, {2, 64}));
    add("blocks.0.norm3.weight", Tensor(DType::kBF16, {64}));
    add("patch_embedding.weight", Tensor(DType::kBF16, {2, 16, 1, 2, 2}));
  }

  void add(const std::string& name, Tensor tensor) { tensors_[name] = std::move(tensor); }
  void rename(const std::string& from, const std::string& to) {
    auto node = tensors_.extract(from);
    node.key() = to;
    tensors_.insert(std::move(node));
  }
  void write(const std::string& name, const std::string& text) {
    write_file_atomically(dir() / name, text);
  }
  std::filesystem::path dir() const { return directory_.path(); }
  std::filesystem::path file() const { return dir() / "model.safetensors"; }

  void write_tensors(const std::map<std::string, std::string>& metadata = {}) {
    std::vector<NamedTensor> named;
    for (const auto& [name, tensor] : tensors_) {
      std::memset(const_cast<std::byte*>(tensor.data()), 1, static_cast<size_t>(tensor.bytes()));
      if (name.ends_with(kComfyQuantSuffix)) {
        std::memcpy(const_cast<std::byte*>(tensor.data()), marker_.data(), marker_.size());
      }
      if (name.ends_with("_rot")) *const_cast<float*>(tensor.f32()) = rotation_;
      named.push_back({name, tensor});
    }
    write_safetensors(file(), named, metadata);
  }
  QuantizationDeclaration open() {
    write_tensors();
    return open_transformer_checkpoint(dir()).quantization;
  }
  void expect_refused(Code code, const std::string& fragment) {
    write_tensors();
    expect_error_with(code, fragment, [&] { open_transformer_checkpoint(dir()); });
  }
  void add_marker() { add("blocks.0.self_attn.q.comfy_quant", bytes_of(marker_)); }

  std::string marker_ = comfy_marker_text(kComfyMxfp8);
  float rotation_ = -1;

 private:
  TemporaryDirectory directory_;
  std::map<std::string, Tensor> tensors_;
};

void expect_q_is_mxfp8(const QuantizationDeclaration& declaration, const std::string& type) {
  ASSERT_EQ(declaration.layers.size(), 1u);
  const auto& [name, layer] = *declaration.layers.begin();
  EXPECT_EQ(name, "blocks.0.attn1.to_q");
  EXPECT_EQ(layer.type, type);
  EXPECT_EQ(layer.element, formats::MxElement::kE4m3);
}

TEST_F(TransformerCheckpointTest, ModelSlimDescription) {
  write("quant_model_description_w8a8_mxfp8.json",
        R"({"model_quant_type": "W8A8_MXFP8", "blocks.0.self_attn.q.weight": "W8A8_MXFP8",
            "blocks.0.self_attn.q.weight_scale": "W8A8_MXFP8",
            "blocks.0.self_attn.k.weight": "FLOAT", "blocks.0.norm3.weight": "FLOAT",
            "blocks.0.self_attn.quant_type": "FP8_DYNAMIC"})");
  add("blocks.0.self_attn.q_rot", Tensor(DType::kF32, {1, 1}));
  add("blocks.0.self_attn.k_rot", Tensor(DType::kF32, {1, 1}));
  const QuantizationDeclaration declaration = open();
  EXPECT_EQ(declaration.source, QuantizationSource::kModelSlim);
  EXPECT_EQ(declaration.scale_layout, formats::ScaleLayout::kRowMajor);
  expect_q_is_mxfp8(declaration, "W8A8_MXFP8");
  EXPECT_EQ(declaration.attention,
            (std::map<std::string, std::string>{{"blocks.0.attn1", "FP8_DYNAMIC"}}));
  EXPECT_EQ(declaration.companions,
            (std::vector<std::string>{"blocks.0.attn1.to_k_rot", "blocks.0.attn1.to_q_rot"}));
}

TEST_F(TransformerCheckpointTest, RotationsThatAttentionCannotLeaveOut) {
  write("quant_model_description.json", R"({"blocks.0.attn1.to_q.weight": "W8A8_MXFP8"})");
  add("blocks.0.self_attn.q_rot", Tensor(DType::kF32, {1, 1}));
  expect_refused(Code::kCorruptFile, "to_q_rot is there without its to_k_rot");
  add("blocks.0.self_attn.k_rot", Tensor(DType::kF32, {1, 2}));
  expect_refused(Code::kCorruptFile, "expected [head_dim, head_dim]");
  add("blocks.0.self_attn.k_rot", Tensor(DType::kF32, {1, 1}));
  rotation_ = 1.01f;
  expect_refused(Code::kUnsupported, "expected one orthogonal matrix for q and k");
}

TEST_F(TransformerCheckpointTest, WeightsThatBlocksDoNotFit) {
  write("quant_model_description.json", R"({"blocks.0.attn1.to_q.weight": "W8A8_MXFP8"})");
  add("blocks.0.self_attn.q.weight", Tensor(DType::kF8E4M3, {2, 80}));
  expect_refused(Code::kCorruptFile,
                 "1 MXFP8 or MXINT8 layer whose weight is not [n, k] with k a multiple of 32: "
                 "blocks.0.attn1.to_q [2, 80]");
}

TEST_F(TransformerCheckpointTest, DescriptionWinsOverConfigJson) {
  write("config.json", R"({"quantization_config": {"quant_method": "awq"}})");
  write("quant_model_description.json", R"({"blocks.0.attn1.to_q.weight": "W8A8_MXFP8"})");
  EXPECT_EQ(open().source, QuantizationSource::kModelSlim);
}

TEST_F(TransformerCheckpointTest, QuantizedWithoutDeclarationIsAnError) {
  expect_refused(Code::kCorruptFile,
                 "2 quantized tensors without a declaration: blocks.0.attn1.to_q.weight, "
                 "blocks.0.attn1.to_q.weight_scale; expected quant_model_description*.json");
}

TEST_F(TransformerCheckpointTest, DeclarationsMustCoverTheTensorsAndNotMore) {
  write("quant_model_description.json",
        R"({"blocks.0.attn1.to_q.weight": "FLOAT", "blocks.9.attn1.to_q.weight": "W8A8"})");
  expect_refused(Code::kCorruptFile, "does not declare them; 1 layer declared by");
}

TEST_F(TransformerCheckpointTest, DeclaredTensorsMustBeThereUnlessFloat) {
  write("quant_model_description.json",
        R"({"blocks.0.self_attn.q.weight": "W8A8_MXFP8", "blocks.0.self_attn.q.bias": "FLOAT",
            "blocks.0.self_attn.k.weight_scale": "W8A8_MXFP8",
            "blocks.0.self_attn.q.div.mul_scale": "FLOAT"})");
  expect_refused(Code::kCorruptFile,
                 " and missing: blocks.0.attn1.to_k.weight_scale, "
                 "blocks.0.attn1.to_q.mul_scale");
}

TEST_F(TransformerCheckpointTest, UnknownTypesAreKeptForTheirReader) {
  write("quant_model_description.json", R"({"blocks.0.attn1.to_q.weight": "W8A8_DYNAMIC"})");
  const QuantizationDeclaration declaration = open();
  EXPECT_EQ(declaration.layers.at("blocks.0.attn1.to_q").type, "W8A8_DYNAMIC");
  EXPECT_FALSE(declaration.layers.at("blocks.0.attn1.to_q").element);
}

TEST_F(TransformerCheckpointTest, ComfyMarkersMeanSwizzledScales) {
  add_marker();
  const QuantizationDeclaration declaration = open();
  EXPECT_EQ(declaration.source, QuantizationSource::kComfy);
  EXPECT_EQ(declaration.scale_layout, formats::ScaleLayout::kSwizzled);
  expect_q_is_mxfp8(declaration, "mxfp8");
  EXPECT_EQ(declaration.companions, std::vector<std::string>{"blocks.0.attn1.to_q.comfy_quant"});
}

TEST_F(TransformerCheckpointTest, ComfyMetadataOfTheHeader) {
  write_tensors({{"_quantization_metadata",
                  R"({"format_version": "1.0",
                      "layers": {"blocks.0.self_attn.q": {"format": "mxfp8"}}})"}});
  const QuantizationDeclaration declaration = open_transformer_checkpoint(file()).quantization;
  EXPECT_EQ(declaration.scale_layout, formats::ScaleLayout::kSwizzled);
  expect_q_is_mxfp8(declaration, "mxfp8");
}

TEST_F(TransformerCheckpointTest, BrokenComfyMarkers) {
  marker_ = R"({"format": 3})";
  add_marker();
  expect_refused(Code::kCorruptFile, "comfy_quant: field 'format': expected a string");
  marker_ = "{oops      ";
  expect_refused(Code::kCorruptFile, "comfy_quant: invalid JSON");
}

TEST_F(TransformerCheckpointTest, MarkersAndDescriptionContradict) {
  add_marker();
  write("quant_model_description.json", R"({"blocks.0.attn1.to_q.weight": "W8A8_MXFP8"})");
  expect_refused(Code::kCorruptFile, "contradicts the comfy_quant markers");
  // A file that is named itself has nothing to do with its neighbours.
  EXPECT_EQ(open_transformer_checkpoint(file()).quantization.source, QuantizationSource::kComfy);
}

TEST_F(TransformerCheckpointTest, ConfigJsonForms) {
  for (const char* config :
       {R"({"quant_method": "mxfp8", "is_checkpoint_mxfp8_serialized": true})",
        R"({"quant_method": "mxfp8", "weight_block_size": [1, 32], "scale_fmt": "ue8m0"})",
        R"({"quant_method": "compressed-tensors", "format": "mxfp8-quantized", "config_groups":
            {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float",
             "strategy": "group", "group_size": 32, "scale_dtype": "torch.uint8"},
             "input_activations": {"num_bits": 8, "type": "float", "group_size": 32,
             "dynamic": true}}}})"}) {
    write("config.json", std::string(R"({"quantization_config": )") + config + "}");
    const QuantizationDeclaration declaration = open();
    EXPECT_EQ(declaration.source, QuantizationSource::kConfigJson);
    EXPECT_EQ(declaration.scale_layout, formats::ScaleLayout::kRowMajor);
    expect_q_is_mxfp8(declaration, "mxfp8");
  }
}

TEST_F(TransformerCheckpointTest, ConfigJsonScalesUnderSglangsName) {
  rename("blocks.0.self_attn.q.weight_scale", "blocks.0.self_attn.q.weight_scale_inv");
  write("config.json", R"({"quantization_config": {"quant_method": "mxfp8"}})");
  write_tensors();
  const TransformerCheckpoint opened = open_transformer_checkpoint(dir());
  EXPECT_EQ(opened.checkpoint.tensors().count("blocks.0.attn1.to_q.weight_scale"), 1u);
}

TEST_F(TransformerCheckpointTest, BrokenConfigJson) {
  const auto refuse = [&](Code code, const std::string& config, const std::string& why) {
    write("config.json", R"({"quantization_config": )" + config + "}");
    expect_refused(code, why);
  };
  refuse(Code::kCorruptFile, "{}", "quantization_config: field 'quant_method' is missing");
  refuse(Code::kCorruptFile, "[]", "quantization_config");
}

TEST_F(TransformerCheckpointTest, MethodsThatAreNotKnown) {
  write("config.json", R"({"quantization_config": {"quant_method": "awq"}})");
  const std::string refusal =
      "quant_method: expected one of mxfp8, compressed-tensors, modelopt, modelopt_mxfp8, "
      "modelopt_mixed, auto-round, got 'awq'";
  const QuantizedLayer layer = open().layers.at("blocks.0.attn1.to_q");
  EXPECT_EQ(layer.type, "awq");
  EXPECT_EQ(layer.refusal, refusal);
  // Nothing quantized that could be listed.
  rename("blocks.0.self_attn.q.weight_scale", "blocks.0.self_attn.v.bias");
  add("blocks.0.self_attn.q.weight", Tensor(DType::kBF16, {2, 64}));
  expect_refused(Code::kUnsupported, refusal);
}

TEST_F(TransformerCheckpointTest, ConfigThatDeclaresWhatIsNotThere) {
  rename("blocks.0.self_attn.q.weight_scale", "blocks.0.self_attn.v.bias");
  add("blocks.0.self_attn.q.weight", Tensor(DType::kBF16, {2, 64}));
  write("config.json", R"({"quantization_config": {"quant_method": "mxfp8"}})");
  expect_refused(Code::kCorruptFile, "declares mxfp8, but");
}

TEST_F(TransformerCheckpointTest, PrefixesAndFloatFiles) {
  const TemporaryDirectory directory;
  const Tensor value(DType::kBF16, {1});
  const std::filesystem::path path = directory.path() / "comfy.safetensors";
  write_safetensors(path, std::array{NamedTensor{"model.diffusion_model.head.head.weight", value}});
  const TransformerCheckpoint opened = open_transformer_checkpoint(path);
  EXPECT_FALSE(opened.quantization.quantized());
  EXPECT_EQ(opened.stored_names, NamingStyle::kOriginal);
  EXPECT_EQ(opened.checkpoint.tensors().begin()->first, "proj_out.weight");
}

}  // namespace
}  // namespace mxvideo::checkpoint
