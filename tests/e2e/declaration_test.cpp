// What a declaration says is done, or refused by name: quantized weights with activations that are
// not, the forms of other programs, keys that change the meaning.
#include <cmath>
#include <cstring>
#include <functional>

#include "e2e/quantized_fixture.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const std::string kVariant = "ti2v-5b";
const std::string kWeights = "transformer/diffusion_pytorch_model.safetensors";
const std::string kConfig = "transformer/config.json";

// The value of an E4M3 code: 4 bits of exponent, 3 of mantissa. Source: OCP 8-bit floating point.
float e4m3(uint8_t code) {
  const int exponent = (code >> 3) & 15, mantissa = code & 7;
  const float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                    : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return (code & 0x80) != 0 ? -value : value;
}

std::string bf16(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  EXPECT_EQ(bits & 0xffff, 0u) << "E4M3 times a power of two is a BF16 number";
  return {static_cast<char>(bits >> 16), static_cast<char>(bits >> 24)};
}

class DeclarationTest : public QuantizedTest {
 protected:
  // A copy of vLLM-Omni's form with another quantization_config.
  fs::path declared(const Json& config) const {
    fs::path model = copy_of(config_export(kVariant));
    edit_json(model / kConfig, [&](Json& json) { json["quantization_config"] = config; });
    return model;
  }

  // The same model with weights decoded to BF16 and nothing declared.
  fs::path decoded() const {
    fs::path model = copy_of(config_export(kVariant));
    edit_json(model / kConfig, [](Json& json) { json.erase("quantization_config"); });
    edit_tensors(model / kWeights, [](TensorFile& file) {
      std::vector<std::string> scales;
      for (const TensorFile::Entry& entry : file.entries) {
        if (entry.name.ends_with(".weight_scale")) scales.push_back(entry.name);
      }
      for (const std::string& scale : scales) {
        const std::string exponents = file.at(scale).bytes;
        TensorFile::Entry& weight = file.at(scale.substr(0, scale.size() - strlen("_scale")));
        std::string values;
        for (size_t i = 0; i < weight.bytes.size(); ++i) {
          const int exponent = static_cast<uint8_t>(exponents[i / 32]) - 127;
          values += bf16(std::ldexp(e4m3(static_cast<uint8_t>(weight.bytes[i])), exponent));
        }
        weight.dtype = "BF16";
        weight.bytes = values;
        file.erase(scale);
      }
    });
    return model;
  }

  // ComfyUI's file with this marker on every layer.
  fs::path comfy_marked(const std::string& marker) const {
    fs::path folder = copy_of(comfy_export(kVariant));
    edit_tensors(comfy_files(folder).at(0), [&](TensorFile& file) {
      for (TensorFile::Entry& entry : file.entries) {
        if (!entry.name.ends_with(".comfy_quant")) continue;
        entry.bytes = marker;
        entry.shape = {static_cast<int64_t>(marker.size())};
      }
    });
    return folder;
  }

  std::string latents_of(const fs::path& model) const {
    return latents(kVariant, {"--model-path", model});
  }
};

Json compressed_tensors(const Json& inputs) {
  return {{"quant_method", "compressed-tensors"},
          {"format", "mxfp8-quantized"},
          {"config_groups",
           {{"group_0",
             {{"targets", {"Linear"}},
              {"weights",
               {{"num_bits", 8}, {"type", "float"}, {"strategy", "group"}, {"group_size", 32}}},
              {"input_activations", inputs}}}}}};
}

Json auto_round(const Json& more) {
  Json config = {{"quant_method", "auto-round"},
                 {"bits", 8},
                 {"group_size", 32},
                 {"data_type", "mx_fp"},
                 {"sym", true},
                 {"packing_format", "auto_round:llm_compressor"},
                 {"block_name_to_quantize", "blocks"}};
  config.update(more);
  return config;
}

Json inputs_of(const std::string& type) {
  return {{"act_bits", 8}, {"act_group_size", 32}, {"act_data_type", type}, {"act_dynamic", true}};
}

TEST_F(DeclarationTest, FormsOfModelOptAndAutoRoundAreTheSameBytes) {
  const std::string reference = latents_of(config_export(kVariant));
  const Json flat = {{"quant_method", "modelopt"},
                     {"quant_algo", "MXFP8"},
                     {"ignore", {"proj_out", "condition_embedder*", "patch_embedding"}},
                     {"producer", {{"name", "modelopt"}, {"version", "0.41.0"}}}};
  const Json nested = {
      {"quant_method", "modelopt"},
      {"quantization", {{"quant_algo", "MXFP8"}, {"exclude_modules", {"proj_out"}}}}};
  for (const Json& config : {flat, nested, auto_round(inputs_of("mx_fp_rceil"))}) {
    EXPECT_TRUE(latents_of(declared(config)) == reference) << config;
  }
}

// AutoRound's types of activations are rules too: mx_fp is floor(log2 of the largest) - 8.
TEST_F(DeclarationTest, TheRuleOfActivationsThatAFileDeclaresHolds) {
  const Arguments floor = {"--model-path", config_export(kVariant), "--mx-scale-rule", "floor"};
  const std::string expected = latents(kVariant, floor);
  EXPECT_NE(expected, latents_of(config_export(kVariant)));
  const fs::path model = declared(auto_round(inputs_of("mx_fp")));
  EXPECT_TRUE(latents_of(model) == expected);
  EXPECT_TRUE(latents_of(declared(auto_round({{"act_bits", 8}}))) == expected);
  const ProcessResult said =
      run(generate(kVariant, {"--model-path", model, "-o", "v.y4m", "--mx-scale-rule", "floor"}));
  expect_success(said);
  const ProcessResult implied =
      run(generate(kVariant, {"--model-path", model, "-o", "v.y4m", "--overwrite"}));
  EXPECT_NE(implied.err.find("'act_data_type: mx_fp': the activations of 20 layers get their "
                             "scales by the rule floor"),
            std::string::npos)
      << implied.err;
  fs::remove(work() / "v.y4m");
  const Arguments other = {"--model-path", model, "-o", "v.y4m", "--mx-scale-rule", "even"};
  expect_failure(run(generate(kVariant, other)), 2, "--mx-scale-rule even contradicts ");
}

TEST_F(DeclarationTest, ConversionsSayWhatFilesDeclareOfActivations) {
  const fs::path rule = declared(auto_round(inputs_of("mx_fp")));
  const ProcessResult repacked = run({"repack", "--quant-path", rule, "--original-model-path",
                                      tiny_model(kVariant), "--layout", "comfy", "-o", target()});
  expect_success(repacked);
  EXPECT_NE(repacked.err.find("run them with --mx-scale-rule floor"), std::string::npos)
      << repacked.err;
  const std::string line = ": 20 layers multiply activations that are not quantized";
  const fs::path model = declared(auto_round({{"act_bits", 16}}));
  const ProcessResult weights = run({"repack", "--quant-path", model, "--original-model-path",
                                     tiny_model(kVariant), "--layout", "comfy", "-o", target()});
  expect_success(weights);
  EXPECT_NE(weights.err.find("'act_bits: 16'" + line), std::string::npos) << weights.err;
  const ProcessResult again = run({"quantize", "--model-path", model, "-o", target()});
  EXPECT_EQ(again.exit_code, 2) << again.err;
  EXPECT_NE(again.err.find("'act_bits: 16'" + line), std::string::npos) << again.err;
}

TEST_F(DeclarationTest, WeightsOnlyMultiplyActivationsThatAreNotQuantized) {
  const std::string expected = latents_of(decoded());
  EXPECT_NE(expected, latents_of(config_export(kVariant)));
  EXPECT_TRUE(latents_of(declared(compressed_tensors(nullptr))) == expected);
  EXPECT_TRUE(latents_of(declared(auto_round({{"act_bits", 16}}))) == expected);
  const fs::path comfy = comfy_marked(R"({"format": "mxfp8", "full_precision_matrix_mult": true})");
  EXPECT_TRUE(latents(kVariant, from_comfy(comfy)) == expected);
}

TEST_F(DeclarationTest, WeightsOnlyIsSaidOnScreenAndInTheReport) {
  const fs::path comfy = comfy_marked(R"({"format": "mxfp8", "full_precision_matrix_mult": true})");
  Arguments flags = from_comfy(comfy);
  flags.insert(flags.end(), {"-o", "v.y4m", "--report", "r.json"});
  const ProcessResult result = run(generate(kVariant, flags));
  expect_success(result);
  const std::string line =
      "'full_precision_matrix_mult: true': 20 layers multiply activations that are not quantized";
  EXPECT_NE(result.err.find(line), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(" in memory for "), std::string::npos) << result.err;
  size_t layers = 0;
  const Json report = read_json(work() / "r.json");
  for (const Json& component : report.at("components")) {
    if (component.at("name") != "transformer") continue;
    for (const Json& layer : component.at("layers")) {
      layers += layer.value("reason", "").find("full_precision_matrix_mult") != std::string::npos;
    }
  }
  EXPECT_EQ(layers, 20u);
}

struct Refused {
  Json config;
  const char* message;
};

TEST_F(DeclarationTest, KeysThatChangeTheMeaningAreRefusedAndListed) {
  Json static_inputs = {{"num_bits", 8}, {"type", "float"}, {"group_size", 32}, {"dynamic", false}};
  for (const Refused& refused : {
           Refused{compressed_tensors(static_inputs),
                   "input_activations.dynamic: expected true, got false"},
           Refused{auto_round({{"act_bits", 8}, {"act_dynamic", false}}),
                   "act_dynamic: expected true, got false"},
           Refused{auto_round({{"bits", 4}}), "bits: expected 8, got 4"},
           Refused{{{"quant_method", "modelopt"}, {"quant_algo", "FP8"}}, "FP8"},
           Refused{{{"quant_method", "mxfp8"}, {"rotation", "hadamard"}},
                   "unknown key rotation: \"hadamard\""},
       }) {
    SCOPED_TRACE(refused.message);
    const fs::path model = declared(refused.config);
    const Arguments flags = {"--model-path", model, "-o", "v.mp4"};
    expect_failure(run(generate(kVariant, flags)), 3, refused.message);
    const ProcessResult inspected = run({"inspect", model});
    expect_success(inspected);
    const size_t line = inspected.out.find("does not run: ");
    EXPECT_NE(inspected.out.find(refused.message, line), std::string::npos) << inspected.out;
  }
}

TEST_F(DeclarationTest, KeysOfMarkersAreRefused) {
  for (const auto& [marker, message] : std::map<std::string, std::string>{
           {R"({"format": "mxfp8", "group_size": 64})", "group_size: expected 32, got 64"},
           {R"({"format": "mxfp8", "convrot": true})", "convrot: expected false or 0, got true"},
           {R"({"format": "mxfp8", "zero_point": 3})", "unknown key zero_point: 3"}}) {
    Arguments flags = from_comfy(comfy_marked(marker));
    flags.insert(flags.end(), {"-o", "v.mp4"});
    expect_failure(run(generate(kVariant, flags)), 3, message);
  }
}

TEST_F(DeclarationTest, RepackKeepsWhatTheLayoutCanSayAndRefusesWhatItCannot) {
  const fs::path comfy = comfy_marked(R"({"format": "mxfp8", "full_precision_matrix_mult": true})");
  const auto repack = [&](const char* layout, const fs::path& out) {
    return run({"repack", "--model-type", "Wan2.2-TI2V-5B", "--quant-path",
                comfy_files(comfy).at(0), "--original-model-path", tiny_model(kVariant), "--layout",
                layout, "--output-path", out});
  };
  const fs::path kept = target();
  expect_success(repack("comfy", kept));
  const TensorFile file = TensorFile::read(comfy_files(kept).at(0));
  size_t marked = 0;
  for (const TensorFile::Entry& entry : file.entries) {
    if (!entry.name.ends_with(".comfy_quant")) continue;
    EXPECT_EQ(Json::parse(entry.bytes),
              Json({{"format", "mxfp8"}, {"full_precision_matrix_mult", true}}));
    ++marked;
  }
  EXPECT_EQ(marked, 20u);
  for (const char* layout : {"diffusers", "modelslim"}) {
    const ProcessResult result = repack(layout, target());
    EXPECT_EQ(result.exit_code, 3) << result.err;
    EXPECT_NE(result.err.find("cannot say that activations are not quantized"), std::string::npos)
        << result.err;
  }
}

// Rows of one size each, that are not the size of their neighbours.
TEST_F(DeclarationTest, VerifyWarnsOfScalesInTheOtherOrder) {
  constexpr int64_t kRows = 256, kColumns = 1024;
  std::string scales;
  for (int64_t row = 0; row < kRows; ++row) {
    scales += std::string(kColumns / 32, static_cast<char>(110 + (row * row + 3 * row) % 7));
  }
  const std::string layer = "blocks.0.self_attn.q";
  const std::string marker = R"({"format": "mxfp8"})";
  TensorFile file;
  file.entries = {
      {layer + ".weight", "F8_E4M3", {kRows, kColumns}, std::string(kRows * kColumns, 'x')},
      {layer + ".weight_scale", "U8", {kRows, kColumns / 32}, scales},
      {layer + ".comfy_quant", "U8", {static_cast<int64_t>(marker.size())}, marker},
      {"patch_embedding.weight", "BF16", {1}, "ab"}};
  const fs::path path = scratch() / "odd.safetensors";
  file.write(path);
  const std::string warning =
      "the block scales look row-major, and are declared swizzled by " + path.string();
  const ProcessResult warned = run({"verify", path});
  EXPECT_NE(warned.out.find(warning), std::string::npos) << warned.out << warned.err;
}

}  // namespace
}  // namespace mxvideo::test
