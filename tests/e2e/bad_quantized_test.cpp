// Quantized models with something wrong in them that other engines load without a word: each is one
// line of error that names what and where, exit status 3, and leaves nothing behind.
#include "e2e/quantized_fixture.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Damage = std::function<void(const fs::path& model)>;

struct BadQuantized {
  std::string name;
  const char* form;  // of cached_export()
  Arguments options;
  Damage damage;  // of a copy of that export
  std::string message;
  int exit_code = 3;
};

void PrintTo(const BadQuantized& bad, std::ostream* stream) { *stream << bad.name; }

const std::string kFile = "transformer/diffusion_pytorch_model.safetensors";
const std::string kDescription = "transformer/quant_model_description.json";
const std::string kConfig = "transformer/config.json";
const std::string kLayer = "blocks.1.attn1.to_q";
const std::string kScale = kLayer + ".weight_scale";
const std::string kOriginalLayer = "blocks.1.self_attn.q";

Damage tensors(const std::string& file, const std::function<void(TensorFile&)>& edit) {
  return [=](const fs::path& model) { edit_tensors(model / file, edit); };
}

Damage scale(const std::function<void(TensorFile::Entry&)>& edit) {
  return tensors(kFile, [=](TensorFile& file) { edit(file.at(kScale)); });
}

Damage describe(const std::string& name, const Json& type) {
  return [=](const fs::path& model) {
    edit_json(model / kDescription, [&](Json& json) { json[name] = type; });
  };
}

Damage config(const std::function<void(Json&)>& edit) {
  return [=](const fs::path& model) {
    edit_json(model / kConfig, [&](Json& json) { edit(json["quantization_config"]); });
  };
}

BadQuantized sglang(const char* name, const Damage& damage, const std::string& message) {
  return {name, "sglang", {}, damage, message};
}

// Scales and biases that others invent, and bytes that mean no number.
std::vector<BadQuantized> bad_tensors() {
  return {
      sglang("scale_missing", tensors(kFile, [](TensorFile& f) { f.erase(kScale); }), kScale),
      sglang("every_scale_missing",
             tensors(kFile,
                     [](TensorFile& f) {
                       std::erase_if(f.entries, [](const TensorFile::Entry& e) {
                         return e.name.ends_with(".weight_scale");
                       });
                     }),
             "20 missing: "),
      sglang("scale_transposed",
             scale([](TensorFile::Entry& e) { std::swap(e.shape[0], e.shape[1]); }),
             "1 of wrong shape: " + kScale),
      sglang("scale_flat", scale([](TensorFile::Entry& e) { e.shape = {e.shape[0] * e.shape[1]}; }),
             "1 of wrong shape: " + kScale),
      sglang("scale_of_larger_blocks", scale([](TensorFile::Entry& e) {
               e.shape[1] /= 2;
               e.bytes.resize(e.bytes.size() / 2);
             }),
             "1 of wrong shape: " + kScale),
      sglang("scale_signed", scale([](TensorFile::Entry& e) { e.dtype = "I8"; }), kScale),
      sglang("scale_elements", scale([](TensorFile::Entry& e) { e.dtype = "F8_E4M3"; }), kScale),
      sglang("scale_float", scale([](TensorFile::Entry& e) {
               e.dtype = "F32";
               e.bytes.resize(4 * e.bytes.size());
             }),
             kScale),
      sglang("scale_nan", scale([](TensorFile::Entry& e) { e.bytes[17] = '\xff'; }), kScale),
      sglang("element_nan",
             tensors(kFile, [](TensorFile& f) { f.at(kLayer + ".weight").bytes[99] = '\xff'; }),
             kLayer + ".weight"),
      sglang("weight_of_another_format",
             tensors(kFile, [](TensorFile& f) { f.at(kLayer + ".weight").dtype = "F8_E5M2"; }),
             kLayer + ".weight"),
      sglang("weight_of_integers",
             tensors(kFile, [](TensorFile& f) { f.at(kLayer + ".weight").dtype = "I8"; }),
             kLayer + ".weight"),
      sglang("bias_missing", tensors(kFile, [](TensorFile& f) { f.erase(kLayer + ".bias"); }),
             "1 missing: " + kLayer + ".bias"),
      sglang("scale_of_a_float_layer",
             tensors(kFile,
                     [](TensorFile& f) {
                       f.entries.push_back({"proj_out.weight_scale", "U8", {2}, "ab"});
                     }),
             "proj_out.weight_scale"),
      sglang("unexpected_tensor",
             tensors(kFile,
                     [](TensorFile& f) {
                       f.entries.push_back({"lora.up", "F32", {1}, "abcd"});
                     }),
             "1 unexpected: lora.up"),
      sglang(
          "extra_shard",
          [](const fs::path& m) {
            fs::copy_file(m / kFile,
                          m / "transformer/diffusion_pytorch_model-00002-of-00002.safetensors");
          },
          "diffusion_pytorch_model-00002-of-00002.safetensors"),
      sglang(
          "no_multiple_of_32",
          [](const fs::path& m) {
            edit_json(m / kConfig, [](Json& json) { json["ffn_dim"] = 168; });
          },
          "multiple of 32, got 168"),
  };
}

// Declarations that are absent, contradict the tensors or name what is not MXFP8.
std::vector<BadQuantized> bad_descriptions() {
  std::vector<BadQuantized> cases = {
      sglang(
          "undeclared", [](const fs::path& m) { fs::remove(m / kDescription); },
          "without a declaration"),
      sglang(
          "undeclared_in_the_second_expert",
          [](const fs::path& m) { fs::remove(m / "transformer_2/quant_model_description.json"); },
          "without a declaration"),
      sglang("declared_float", describe(kLayer + ".weight", "FLOAT"), kLayer),
      sglang("float_declared_quantized", describe("proj_out.weight", "W8A8_MXFP8"), "proj_out"),
      sglang(
          "layer_not_described",
          [](const fs::path& m) {
            edit_json(m / kDescription, [](Json& json) {
              json.erase(kLayer + ".weight");
              json.erase(kScale);
            });
          },
          kLayer),
      sglang("described_layer_absent", describe("blocks.9.attn1.to_q.weight", "W8A8_MXFP8"),
             "blocks.9.attn1.to_q"),
      sglang("described_smoothing_absent", describe(kLayer + ".mul_scale", "FLOAT"), "mul_scale"),
      sglang(
          "two_descriptions",
          [](const fs::path& m) {
            fs::copy_file(m / kDescription, m / "transformer/quant_model_description_a.json");
            fs::rename(m / kDescription, m / "transformer/quant_model_description_b.json");
          },
          "quant_model_description_a.json"),
      sglang(
          "cut_description", [](const fs::path& m) { truncate_file(m / kDescription); },
          "quant_model_description.json"),
      sglang(
          "description_is_no_object", [](const fs::path& m) { write_text(m / kDescription, "[]"); },
          "quant_model_description.json"),
      sglang("names_of_both_styles_for_one_tensor", describe(kOriginalLayer + ".weight", "FLOAT"),
             kLayer),
  };
  for (const char* type : {"W8A8", "W8A8_DYNAMIC", "W4A4_DYNAMIC", "W4A4_MXFP4",
                           "W4A4_MXFP4_DYNAMIC", "W4A4_MXFP4_DUALSCALE", "W4A8_MXFP", "W3A7"}) {
    cases.push_back(sglang(type, describe(kLayer + ".weight", type), kLayer));
    cases.back().name = std::string("type_") + type;
    cases.push_back(cases.back());
    cases.back().name += "_is_named";
    cases.back().message = type;
  }
  return cases;
}

const std::string kComfyFile = "wan2.2_t2v_high_noise_mxfp8.safetensors";

BadQuantized comfy(const char* name, const std::function<void(TensorFile&)>& edit,
                   const std::string& message) {
  return {name, "comfy", {}, tensors(kComfyFile, edit), message};
}

std::vector<BadQuantized> bad_comfy_files() {
  const std::string marker = kOriginalLayer + ".comfy_quant";
  const auto mark = [=](const std::string& text) {
    return [=](TensorFile& f) {
      f.at(marker).bytes = text;
      f.at(marker).shape = {static_cast<int64_t>(text.size())};
    };
  };
  return {
      comfy(
          "no_markers",
          [](TensorFile& f) {
            std::erase_if(f.entries, [](const TensorFile::Entry& e) {
              return e.name.ends_with(".comfy_quant");
            });
          },
          "without a declaration"),
      comfy(
          "one_marker_missing", [=](TensorFile& f) { f.erase(marker); }, kLayer),
      comfy(
          "marker_without_layer",
          [](TensorFile& f) {
            f.entries.push_back(
                {"blocks.9.ffn.0.comfy_quant", "U8", {19}, R"({"format": "mxfp8"})"});
          },
          "blocks.9.ffn"),
      comfy("marker_of_another_format", mark(R"({"format": "nvfp4"})"), kLayer),
      comfy("format_is_named", mark(R"({"format": "float8_e4m3fn"})"), "float8_e4m3fn"),
      comfy("marker_without_format", mark("{}"), "format"),
      comfy("marker_is_no_json", mark("mxfp8"), kLayer + ".comfy_quant"),
      // 160 rows are 2 tiles, so a scale without padding cannot be in tiles.
      comfy(
          "scale_without_padding",
          [](TensorFile& f) {
            auto& scale = f.at("blocks.1.ffn.0.weight_scale");
            scale.shape = {160, 4};
            scale.bytes.resize(640);
          },
          "blocks.1.ffn.net.0.proj.weight_scale"),
      comfy(
          "scale_missing", [](TensorFile& f) { f.erase(kOriginalLayer + ".weight_scale"); },
          kScale),
      comfy(
          "scale_nan",
          [](TensorFile& f) { f.at(kOriginalLayer + ".weight_scale").bytes[9] = '\xff'; }, kScale),
  };
}

std::vector<BadQuantized> bad_configs() {
  const auto bad = [](const char* name, const char* style, const std::function<void(Json&)>& edit,
                      const std::string& message) {
    return BadQuantized{name, "config", {"--style", style}, config(edit), message};
  };
  const auto weights = [](Json& json) -> Json& {
    return json["config_groups"]["group_0"]["weights"];
  };
  std::vector<BadQuantized> cases = {
      bad(
          "no_method", "vllm-omni", [](Json& json) { json.erase("quant_method"); }, "quant_method"),
      bad(
          "unknown_method", "vllm-omni", [](Json& json) { json["quant_method"] = "fp8"; }, "fp8"),
      bad(
          "no_object", "vllm-omni", [](Json& json) { json = "mxfp8"; }, "quantization_config"),
      bad(
          "other_blocks", "sglang-cuda",
          [](Json& json) {
            json["weight_block_size"] = {128, 128};
          },
          "weight_block_size"),
      bad(
          "other_format", "compressed-tensors",
          [](Json& json) { json["format"] = "nvfp4-pack-quantized"; }, "nvfp4-pack-quantized"),
      bad(
          "four_bits", "compressed-tensors", [=](Json& json) { weights(json)["num_bits"] = 4; },
          "num_bits"),
      bad(
          "other_group", "compressed-tensors",
          [=](Json& json) { weights(json)["group_size"] = 16; }, "group_size"),
      bad(
          "no_groups", "compressed-tensors", [](Json& json) { json.erase("config_groups"); },
          "config_groups"),
  };
  cases.push_back({"inverse_scale_missing",
                   "config",
                   {"--style", "sglang-cuda"},
                   tensors(kFile, [](TensorFile& f) { f.erase(kScale + "_inv"); }),
                   kLayer});
  cases.push_back({"both_scales",
                   "config",
                   {"--style", "sglang-cuda"},
                   tensors(kFile,
                           [](TensorFile& f) {
                             TensorFile::Entry scale = f.at(kScale + "_inv");
                             scale.name = kScale;
                             f.entries.push_back(scale);
                           }),
                   kLayer});
  cases.push_back({"declared_but_float",
                   "config",
                   {"--float-layers", "*"},
                   [](const fs::path&) {},
                   "quantization_config"});
  return cases;
}

std::vector<BadQuantized> all_cases() {
  std::vector<BadQuantized> cases;
  const auto add = [&](const char* group, std::vector<BadQuantized> more) {
    for (BadQuantized& bad : more) {
      bad.name = std::string(group) + "_" + bad.name;
      cases.push_back(std::move(bad));
    }
  };
  add("tensors", bad_tensors());
  add("description", bad_descriptions());
  add("comfy", bad_comfy_files());
  add("config", bad_configs());
  return cases;
}

class BadQuantizedTest : public QuantizedTest, public testing::WithParamInterface<BadQuantized> {};

TEST_P(BadQuantizedTest, FailsWithOneLine) {
  const BadQuantized& bad = GetParam();
  const fs::path copy = copy_of(cached_export(bad.form, "t2v-a14b", bad.options));
  bad.damage(copy);
  const bool comfy = std::string(bad.form) == "comfy";
  Arguments flags = comfy ? from_comfy(copy) : Arguments{"--model-path", copy};
  flags.insert(flags.end(), {"-o", "v.mp4"});
  expect_failure(run(generate("t2v-a14b", flags)), bad.exit_code, bad.message);
}

INSTANTIATE_TEST_SUITE_P(Damages, BadQuantizedTest, testing::ValuesIn(all_cases()),
                         [](const testing::TestParamInfo<BadQuantized>& parameters) {
                           return parameters.param.name;
                         });

}  // namespace
}  // namespace mxvideo::test
