// Every key of every dialect: honoured, of no effect, or refused by its name and value. A directory
// holds one quantized layer (q) and one float layer (k) of a block.
#include <gtest/gtest.h>

#include <cstring>

#include "base/file/atomic_file.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/transformer_checkpoint.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

using mxvideo::test::TemporaryDirectory;
using test::expect_error_with;
using Metadata = std::map<std::string, std::string>;

const std::string kQ = "blocks.0.attn1.to_q";

class DeclarationTest : public testing::Test {
 protected:
  DeclarationTest() {
    add(kQ + ".weight", Tensor(DType::kF8E4M3, {2, 64}));
    add(kQ + ".weight_scale", Tensor(DType::kU8, {2, 2}));
    add("blocks.0.attn1.to_k.weight", Tensor(DType::kBF16, {2, 64}));
  }

  void add(const std::string& name, Tensor tensor) {
    std::memset(tensor.data(), 1, static_cast<size_t>(tensor.bytes()));
    tensors_[name] = std::move(tensor);
  }
  void add_marker(const std::string& text, const Shape& shape = {}) {
    Tensor marker(DType::kU8, shape.rank() > 0 ? shape : Shape{static_cast<int64_t>(text.size())});
    std::memcpy(marker.data(), text.data(), text.size());
    tensors_[kQ + ".comfy_quant"] = std::move(marker);
  }
  void write(const std::string& name, const std::string& text) {
    write_file_atomically(dir() / name, text);
  }
  void write_config(const std::string& config) {
    write("config.json", R"({"quantization_config": )" + config + "}");
  }
  std::filesystem::path dir() const { return directory_.path(); }

  QuantizationDeclaration open(const Metadata& metadata = {}) {
    std::vector<NamedTensor> named;
    for (const auto& [name, tensor] : tensors_) named.push_back({name, tensor});
    write_safetensors(dir() / "model.safetensors", named, metadata);
    return open_transformer_checkpoint(dir()).quantization;
  }
  QuantizedLayer q(const Metadata& metadata = {}) { return open(metadata).layers.at(kQ); }

  // The layer is listed and does not run, for this reason.
  void expect_refused(const QuantizedLayer& layer, const std::string& reason) {
    EXPECT_FALSE(layer.element) << reason;
    EXPECT_EQ(layer.refusal, reason);
    EXPECT_EQ(layer.weight_only, "");
  }
  void expect_runs(const QuantizedLayer& layer, const std::string& weight_only = "") {
    EXPECT_EQ(layer.element, formats::MxElement::kE4m3) << layer.refusal;
    EXPECT_EQ(layer.weight_only, weight_only);
    EXPECT_EQ(layer.weights, 128);
  }

  std::map<std::string, Tensor> tensors_;

 private:
  TemporaryDirectory directory_;
};

struct KeyCase {
  const char* keys;     // members beside those that a dialect needs
  const char* refusal;  // "": runs
};

class ComfyMarkers : public DeclarationTest {
 protected:
  static std::string marker(const std::string& keys) {
    return R"({"format": "mxfp8")" + keys + "}";
  }
};

TEST_F(ComfyMarkers, KeysAreHonouredHarmlessOrRefused) {
  for (const KeyCase& test : {
           KeyCase{R"(, "group_size": 32, "orig_dtype": "torch.bfloat16")", ""},
           KeyCase{R"(, "orig_shape": [2, 64], "convrot": false, "params": {"group_size": 32})",
                   ""},
           KeyCase{R"(, "full_precision_matrix_mult": false, "unknown": null)", ""},
           KeyCase{R"(, "group_size": 64)", "group_size: expected 32, got 64"},
           KeyCase{R"(, "orig_shape": [64, 2])",
                   "orig_shape: expected [2, 64] of the weight, got [64,2]"},
           KeyCase{R"(, "convrot": true, "convrot_groupsize": 64)",
                   "convrot: expected false or 0, got true; unknown key convrot_groupsize: 64"},
           KeyCase{R"(, "params": {"convrot": true})",
                   "params.convrot: expected false or 0, got true"},
           KeyCase{R"(, "smooth": [1, 2])", "unknown key smooth: [1,2]"},
       }) {
    SCOPED_TRACE(test.keys);
    add_marker(marker(test.keys));
    if (std::string(test.refusal).empty()) {
      expect_runs(q());
    } else {
      expect_refused(q(), test.refusal);
    }
    // The same object in the metadata means the same.
    tensors_.erase(kQ + ".comfy_quant");
    const QuantizedLayer listed =
        q({{"_quantization_metadata", R"({"format_version": "1.0", "layers": {")" + kQ + R"(": )" +
                                          marker(test.keys) + "}}"}});
    EXPECT_EQ(listed.refusal, test.refusal);
  }
}

TEST_F(ComfyMarkers, FullPrecisionLeavesActivationsAsTheyAre) {
  add_marker(marker(R"(, "full_precision_matrix_mult": true)"));
  expect_runs(q(), "full_precision_matrix_mult: true");
  add_marker(marker(R"(, "full_precision_matrix_mult": "yes")"));
  expect_error_with(Code::kCorruptFile, "'full_precision_matrix_mult': expected true or false",
                    [&] { open(); });
}

TEST_F(ComfyMarkers, MarkerAndMetadataThatSayDifferentThings) {
  add_marker(marker(""));
  expect_error_with(
      Code::kCorruptFile, "comfy_quant says both 'mxfp8' and 'mxfp8, full_precision_matrix_mult'",
      [&] {
        open({{"_quantization_metadata",
               R"({"layers": {")" + kQ +
                   R"(": {"format": "mxfp8", "full_precision_matrix_mult": true}}})"}});
      });
}

TEST_F(ComfyMarkers, MetadataOfAnotherVersionOrWithUnknownMembers) {
  const auto metadata = [](const std::string& members) {
    return Metadata{{"_quantization_metadata",
                     "{" + members + R"("layers": {")" + kQ + R"(": {"format": "mxfp8"}}})"}};
  };
  expect_refused(q(metadata(R"("format_version": "2.0", )")),
                 R"(format_version: expected "1.0" or "1", got "2.0")");
  expect_refused(q(metadata(R"("rotation": "x", )")), R"(unknown key rotation: "x")");
}

TEST_F(ComfyMarkers, OtherFormatsAreListedWithTheirNames) {
  add_marker(R"({"format": "nvfp4", "anything": 1})");
  const QuantizedLayer layer = q();
  EXPECT_EQ(layer.type, "nvfp4");
  expect_refused(layer, "");
}

TEST_F(ComfyMarkers, HybridHasTheSameBytesAndScalarsForOthers) {
  add_marker(R"({"format": "hybrid_mxfp8", "group_size": 32})");
  add(kQ + ".weight_scalar", Tensor(DType::kF32, {}));
  const QuantizationDeclaration declaration = open();
  expect_runs(declaration.layers.at(kQ));
  EXPECT_EQ(declaration.layers.at(kQ).type, "hybrid_mxfp8");
  ASSERT_EQ(declaration.notices.size(), 1u);
  EXPECT_NE(declaration.notices[0].find("1 tensor weight_scalar left out"), std::string::npos);
  EXPECT_EQ(declaration.companions,
            (std::vector<std::string>{kQ + ".comfy_quant", kQ + ".weight_scalar"}));
}

TEST_F(ComfyMarkers, AScaleOfTheActivationsIsNoPartOfMxfp8) {
  add_marker(marker(""));
  add(kQ + ".input_scale", Tensor(DType::kF32, {}));
  expect_refused(q(), "a tensor input_scale, which MXFP8 and MXINT8 do not have");
}

TEST_F(ComfyMarkers, BytesInAnyShape) {
  add_marker(marker(""), {1, static_cast<int64_t>(marker("").size())});
  expect_runs(q());
}

TEST_F(ComfyMarkers, MetadataOfEveryShardCounts) {
  const TemporaryDirectory directory;
  const std::string index = "diffusion_pytorch_model.safetensors.index.json";
  std::string weight_map;
  for (int i = 1; i <= 2; ++i) {
    const std::string layer = "blocks." + std::to_string(i) + ".attn1.to_q";
    const std::string file =
        "diffusion_pytorch_model-0000" + std::to_string(i) + "-of-00002.safetensors";
    const Tensor weight(DType::kF8E4M3, {2, 64}), scale(DType::kU8, {2, 2});
    const std::string text =
        i == 1 ? marker("") : marker(R"(, "full_precision_matrix_mult": true)");
    write_safetensors(
        directory.path() / file,
        std::array{NamedTensor{layer + ".weight", weight},
                   NamedTensor{layer + ".weight_scale", scale}},
        {{"_quantization_metadata", R"({"layers": {")" + layer + R"(": )" + text + "}}"}});
    for (const char* part : {".weight", ".weight_scale"}) {
      weight_map += (weight_map.empty() ? "\"" : ", \"") + layer + part + "\": \"" + file + "\"";
    }
  }
  write_file_atomically(directory.path() / index, R"({"weight_map": {)" + weight_map + "}}");
  const auto layers = open_transformer_checkpoint(directory.path()).quantization.layers;
  ASSERT_EQ(layers.size(), 2u);
  expect_runs(layers.at("blocks.1.attn1.to_q"));
  expect_runs(layers.at("blocks.2.attn1.to_q"), "full_precision_matrix_mult: true");
}

// Keys that follow those which MXFP8 needs in each dialect.
class ConfigKeys : public DeclarationTest {
 protected:
  void expect(const std::string& config, const std::string& refusal,
              const std::string& weight_only = "") {
    SCOPED_TRACE(config);
    write_config(config);
    const QuantizedLayer layer = q();
    if (refusal.empty()) {
      expect_runs(layer, weight_only);
    } else {
      expect_refused(layer, refusal);
    }
  }
};

TEST_F(ConfigKeys, Mxfp8) {
  const auto config = [](const std::string& keys) {
    return R"({"quant_method": "mxfp8")" + keys + "}";
  };
  expect(config(R"(, "is_checkpoint_mxfp8_serialized": true, "ignored_layers": ["proj_out"])"), "");
  expect(config(R"(, "activation_scheme": "dynamic", "weight_block_size": [1, 32],
                     "scale_fmt": "ue8m0", "modules_to_not_convert": ["blocks.0.attn1.to_k"])"),
         "");
  expect(config(R"(, "is_checkpoint_mxfp8_serialized": false)"),
         "is_checkpoint_mxfp8_serialized: expected true, got false");
  expect(config(R"(, "activation_scheme": "static")"),
         R"(activation_scheme: expected "dynamic", got "static")");
  expect(config(R"(, "weight_block_size": [128, 128])"),
         "weight_block_size: expected [1,32], got [128,128]");
  expect(config(R"(, "smoothing": 0.5)"), "unknown key smoothing: 0.5");
}

// config_groups of compressed-tensors; `group` holds the members after the weights.
std::string compressed(const std::string& group, const std::string& weights = "",
                       const std::string& top = R"("format": "mxfp8-quantized")") {
  return R"({"quant_method": "compressed-tensors", )" + top +
         R"(, "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 8,
             "type": "float", "strategy": "group", "group_size": 32, "symmetric": true)" +
         weights + "}" + group + "}}}";
}

std::string inputs(const std::string& keys) {
  return R"(, "input_activations": {"num_bits": 8, "type": "float", "group_size": 32)" + keys + "}";
}

TEST_F(ConfigKeys, CompressedTensors) {
  const std::string dynamic = inputs(R"(, "dynamic": true, "observer": null)");
  expect(compressed(dynamic, R"(, "observer": "memoryless_minmax", "actorder": null)"), "");
  expect(compressed(dynamic + R"(, "output_activations": null)"), "");
  expect(compressed(dynamic + R"(, "format": "mxfp8-quantized")", "",
                    R"("format": "mixed-precision")"),
         "");
  expect(compressed(dynamic, "", R"("quantization_status": "compressed", "ignore": ["re:.*to_k"])"),
         "");
  expect(compressed(inputs(R"(, "dynamic": false)")),
         "input_activations.dynamic: expected true, got false");
  // Absent means static in that library.
  expect(compressed(inputs("")), "input_activations.dynamic: expected true, got null");
  expect(compressed(inputs(R"(, "dynamic": true, "strategy": "token")")),
         R"(input_activations.strategy: expected "group", got "token")");
  expect(compressed(dynamic, R"(, "actorder": "group")"),
         R"(weights.actorder: expected false, "weight" or "static", got "group")");
  expect(compressed(dynamic, R"(, "dynamic": true)"), "weights.dynamic: expected false, got true");
  expect(compressed(dynamic + R"(, "output_activations": {"num_bits": 8})"),
         R"(output_activations: expected none, got {"num_bits":8})");
  expect(compressed(dynamic, "", R"("transform_config": {"a": 1})"),
         R"(transform_config: expected {}, got {"a":1})");
  expect(compressed(dynamic, "", R"("format": "nvfp4-pack-quantized")"),
         R"(format: expected "mxfp8-quantized", got "nvfp4-pack-quantized")");
  expect(compressed(dynamic, "", R"("format": "mixed-precision")"),
         R"(format: expected "mxfp8-quantized", got null)");
}

TEST_F(ConfigKeys, CompressedTensorsOfWeightsOnly) {
  const std::string said = "input_activations: null";
  expect(compressed(R"(, "input_activations": null)"), "", said);
  expect(compressed(""), "", said);
  expect(R"({"quant_method": "compressed-tensors", "config_groups": {"MXFP8A16": ["Linear"]}})", "",
         "preset MXFP8A16");
  expect(R"({"quant_method": "compressed-tensors", "config_groups": {"mxfp8": ["Linear"]}})", "");
  expect(R"({"quant_method": "compressed-tensors", "config_groups": {"FP8": ["Linear"]}})",
         "preset: expected MXFP8 or MXFP8A16, got FP8");
}

TEST_F(ConfigKeys, GroupsNameTheirLayers) {
  const auto config = [](const std::string& target) {
    return R"({"quant_method": "compressed-tensors", "config_groups": {
        "a": {"targets": [")" +
           target + R"("], "weights": {"type": "float", "group_size": 32}},
        "b": {"targets": ["Linear"], "format": "x", "weights": {"num_bits": 4}}}})";
  };
  expect(config("re:.*attn1.to_q"), "", "input_activations: null");
  expect(config("blocks.0"), "", "input_activations: null");
  expect(config("blocks.0.self_attn.q"), "", "input_activations: null");  // the original's name
  expect(config("blocks.1"), R"(format: expected "mxfp8-quantized", got "x")");
  write_config(config("re:("));
  expect_error_with(Code::kCorruptFile, "expected a regular expression, got '('", [&] { open(); });
}

TEST_F(ConfigKeys, ModelOpt) {
  const auto config = [](const std::string& keys) {
    return R"({"quant_method": "modelopt", "quant_algo": "MXFP8")" + keys + "}";
  };
  expect(config(R"(, "ignore": ["proj_out", "condition_embedder*"],
                     "producer": {"name": "modelopt", "version": "0.41.0"})"),
         "");
  expect(config(R"(, "config_groups": {"group_0": {"targets": ["Linear"],
      "weights": {"dynamic": false, "num_bits": 8, "type": "float", "group_size": 32},
      "input_activations": {"dynamic": false, "num_bits": 8, "type": "float", "group_size": 32}}})"),
         "");
  expect(R"({"quant_method": "modelopt", "quantization": {"quant_algo": "MXFP8",
      "kv_cache_quant_algo": null, "exclude_modules": ["proj_out"]}})",
         "");
  expect(config(R"(, "group_size": 16)"), "group_size: expected 32, got 16");
  expect(config(R"(, "awq_block_size": 128)"), "unknown key awq_block_size: 128");
  expect(config(R"(, "config_groups": {"g": {"weights": {"num_bits": 4}}})"),
         "config_groups.g.weights.num_bits: expected 8, got 4");
  write_config(R"({"quant_method": "modelopt", "quant_algo": "FP8"})");
  EXPECT_EQ(q().type, "FP8");
  EXPECT_FALSE(q().element);
}

TEST_F(ConfigKeys, ModelOptLayerByLayer) {
  const auto config = [](const std::string& q_keys) {
    return R"({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {
        "blocks.0.attn1.to_q": {)" +
           q_keys + R"(}, "blocks.0.ffn.net.2": {"quant_algo": "NVFP4"}}})";
  };
  expect(config(R"("quant_algo": "MXFP8", "group_size": 32)"), "");
  expect(config(R"("quant_algo": "MXFP8", "group_size": 16)"), "group_size: expected 32, got 16");
  write_config(config(R"("quant_algo": "W4A8_AWQ")"));
  EXPECT_EQ(q().type, "W4A8_AWQ");
  EXPECT_FALSE(q().element);
}

TEST_F(ConfigKeys, ModelOptsOwnFile) {
  write("hf_quant_config.json",
        R"({"producer": {"name": "modelopt", "version": "0.41.0"},
            "quantization": {"quant_algo": "MXFP8", "exclude_modules": ["proj_out"]}})");
  expect_runs(q());
  write_config(R"({"quant_method": "modelopt", "quant_algo": "MXFP8"})");
  expect_runs(q());
  write_config(R"({"quant_method": "modelopt", "quant_algo": "FP8"})");
  expect_error_with(Code::kCorruptFile, "hf_quant_config.json: contradicts", [&] { open(); });
}

TEST_F(ConfigKeys, AutoRound) {
  const auto config = [](const std::string& keys) {
    return R"({"quant_method": "auto-round", "data_type": "mx_fp", "sym": true)" + keys + "}";
  };
  const std::string mxfp8 = R"(, "bits": 8, "group_size": 32)";
  const std::string inputs = R"(, "act_bits": 8, "act_group_size": 32, "act_data_type": "mx_fp",
      "act_dynamic": true, "act_sym": true)";
  expect(config(mxfp8 + inputs + R"(, "iters": 0, "autoround_version": "0.14.2",
      "packing_format": "auto_round:llm_compressor", "block_name_to_quantize": "blocks")"),
         "");
  expect(config(mxfp8 + inputs + R"(, "extra_config": {"blocks.0.attn1.to_k": {"bits": 16,
      "data_type": "float"}})"),
         "");
  expect(config(R"(, "bits": 4, "group_size": 32)" + inputs), "bits: expected 8, got 4");
  expect(config(R"(, "bits": 8, "group_size": 16)" + inputs), "group_size: expected 32, got 16");
  expect(config(mxfp8 + R"(, "act_bits": 8, "act_dynamic": false)"),
         "act_dynamic: expected true, got false");
  expect(config(mxfp8 + R"(, "act_bits": 8, "act_group_size": 128)"),
         "act_group_size: expected 32, got 128");
  expect(config(mxfp8 + inputs + R"(, "hadamard_config": {"block_size": 32})"),
         R"(hadamard_config: expected {}, got {"block_size":32})");
  expect(config(mxfp8 + inputs + R"(, "packing_format": "auto_round:auto_gptq")"),
         R"(packing_format: expected "auto_round:llm_compressor", "auto_round" or )"
         R"("llm_compressor", got "auto_round:auto_gptq")");
  expect(config(mxfp8 + inputs + R"(, "clip": true)"), "unknown key clip: true");
  expect(config(mxfp8 + inputs + R"(, "extra_config": {".*to_q": {"bits": 4}})"),
         "bits: expected 8, got 4");
}

TEST_F(ConfigKeys, AutoRoundOfWeightsOnly) {
  const std::string start =
      R"({"quant_method": "auto-round", "data_type": "mx_fp", "bits": 8, "group_size": 32)";
  // Its writer leaves act_bits of 16 out.
  expect(start + "}", "", "no act_bits");
  expect(start + R"(, "act_bits": 16})", "", "act_bits: 16");
}

TEST_F(ConfigKeys, LayersThatAConfigLeavesOut) {
  for (const char* config :
       {R"({"quant_method": "mxfp8", "ignored_layers": ["blocks.0.attn1.to_q"]})",
        R"({"quant_method": "modelopt", "quant_algo": "MXFP8", "exclude_modules": ["blocks.0*"]})",
        R"({"quant_method": "auto-round", "data_type": "mx_fp", "bits": 8, "group_size": 32,
            "block_name_to_quantize": ["blocks.1"]})",
        R"({"quant_method": "compressed-tensors", "ignore": ["re:blocks"],
            "config_groups": {"MXFP8": ["Linear"]}})"}) {
    write_config(config);
    expect_error_with(
        Code::kCorruptFile, "leaves 1 layer unquantized that", [&] { open(); }, config);
  }
}

TEST_F(ConfigKeys, FloatLayersThatAConfigDoesNotLeaveOutAreSaid) {
  write_config(R"({"quant_method": "mxfp8"})");
  const QuantizationDeclaration declaration = open();
  ASSERT_EQ(declaration.notices.size(), 1u);
  EXPECT_NE(declaration.notices[0].find("1 layer that it does not leave out is stored "
                                        "unquantized: blocks.0.attn1.to_k"),
            std::string::npos)
      << declaration.notices[0];
  write_config(R"({"quant_method": "mxfp8", "ignored_layers": ["blocks.0.attn1.to_k"]})");
  EXPECT_TRUE(open().notices.empty());
}

TEST_F(ConfigKeys, CodesInAnotherType) {
  add(kQ + ".weight", Tensor(DType::kBF16, {2, 64}));
  expect(R"({"quant_method": "auto-round", "data_type": "mx_fp", "bits": 8, "group_size": 32})",
         "weight: expected F8_E4M3, got BF16");
}

TEST_F(ConfigKeys, ConfigOfShardsAndOfTheDirectoryMustAgree) {
  const std::string plain = R"({"quant_method": "mxfp8"})";
  expect_runs(q({{"quantization_config", plain}}));
  write_config(compressed(""));
  expect_error_with(Code::kCorruptFile, "metadata quantization_config: contradicts", [&] {
    open({{"quantization_config", plain}});
  });
}

TEST_F(ConfigKeys, ConfigBesideMarkersContradictsThem) {
  add_marker(R"({"format": "mxfp8"})");
  write_config(R"({"quant_method": "mxfp8"})");
  expect_error_with(Code::kCorruptFile, "contradicts the comfy_quant markers", [&] { open(); });
}

TEST_F(DeclarationTest, MembersOfADescription) {
  const auto description = [&](const std::string& members) {
    write("quant_model_description.json",
          "{" + members + R"("blocks.0.attn1.to_q.weight": "W8A8_MXFP8"})");
    return open();
  };
  EXPECT_TRUE(description(R"("version": "1.0.0", "group_size": 32, )").notices.empty());
  const QuantizationDeclaration noted = description(
      R"("producer": "x 1", "optional": {"quarot": {"a": 1}}, "timestep_policy": {"fa": {}}, )");
  expect_runs(noted.layers.at(kQ));
  ASSERT_EQ(noted.notices.size(), 2u);
  EXPECT_NE(noted.notices[0].find("2 members not known and ignored: optional, producer"),
            std::string::npos);
  EXPECT_NE(noted.notices[1].find("timestep_policy is ignored"), std::string::npos);
  expect_refused(description(R"("group_size": 64, )").layers.at(kQ),
                 "group_size: expected 0 or 32, got 64");
  expect_refused(description(R"("ignore": ["blocks.0.attn1.to_q"], )").layers.at(kQ),
                 "ignore naming it as unquantized");
  expect_runs(description(R"("optional": {}, "ignore": ["proj_out"], )").layers.at(kQ));
  write_config(R"({"quant_method": "awq"})");
  const std::vector<std::string> notices = description("").notices;
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_NE(notices[0].find("config.json: quantization_config is ignored"), std::string::npos);
}

}  // namespace
}  // namespace mxvideo::checkpoint
