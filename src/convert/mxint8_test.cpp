// MXINT8 through quantize, repack, inspect and verify.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "audit/inspect.h"
#include "audit/verify.h"
#include "base/text/field.h"
#include "convert/convert_test_support.h"
#include "support/test_support.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;
using audit::inspect_json;
using audit::inspect_model;
using audit::ValueDifference;
using audit::verify_model;
using audit::VerifyOptions;
using audit::VerifyReport;
using formats::MxElement;
using test::edit_json;
using test::edit_tensors;
using test::expect_error_with;
using test::files_of;
using test::golden_model;
using test::json_of_file;
using test::quantize_options;
using test::read_tensors;
using test::repack_options;
using test::StoredBytes;
using test::StoredTensors;

constexpr const char* kModel = "ti2v-5b";
constexpr const char* kRawWeights = "quant_model_weight_w8a8_mxint8.safetensors";
constexpr const char* kRawDescription = "quant_model_description_w8a8_mxint8.json";

class Mxint8 : public testing::Test {
 protected:
  fs::path out(const std::string& name = "out") const { return folder_.path() / name; }

  static QuantizeOptions int8_options(const fs::path& output, Layout layout) {
    QuantizeOptions options = quantize_options(golden_model(kModel), output, layout);
    options.mx.element = MxElement::kInt8;
    return options;
  }
  fs::path quantized(const std::string& name, Layout layout) const {
    quantize_model(int8_options(out(name), layout), {});
    return out(name);
  }
  // A raw export in which the feed-forward layers are MXFP8.
  fs::path mixed() const {
    quantize_model(quantize_options(golden_model(kModel), out("fp8"), Layout::kModelSlim), {});
    const StoredTensors fp8 =
        read_tensors(out("fp8") / "quant_model_weight_w8a8_mxfp8.safetensors");
    fs::path raw = quantized("mixed", Layout::kModelSlim);
    fs::remove(raw / "complete.json");
    edit_tensors(raw / kRawWeights, [&](StoredTensors& tensors) {
      for (auto& [name, tensor] : tensors) {
        if (name.find(".ffn.") != std::string::npos) tensor = fp8.at(name);
      }
    });
    edit_json(raw / kRawDescription, [](nlohmann::ordered_json& json) {
      for (auto& [name, type] : json.items()) {
        if (name.find(".ffn.") != std::string::npos && type != "FLOAT") type = "W8A8_MXFP8";
      }
    });
    return raw;
  }

  mxvideo::test::TemporaryDirectory folder_;
};

std::vector<float> floats(const StoredBytes& tensor) {
  std::vector<float> values(static_cast<size_t>(Shape(tensor.shape).count()));
  convert_to_f32({.data = reinterpret_cast<const std::byte*>(tensor.bytes.data()),
                  .dtype = tensor.dtype,
                  .shape = Shape(tensor.shape)},
                 values.data());
  return values;
}

// SQNR of a layer by the definition of the format.
double sqnr_db(const StoredBytes& source, const StoredBytes& codes, const StoredBytes& scales) {
  const std::vector<float> values = floats(source);
  double signal = 0, noise = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const int exponent = static_cast<uint8_t>(scales.bytes[i / 32]) - 127;
    const double decoded = std::ldexp(static_cast<int8_t>(codes.bytes[i]) / 64.0, exponent);
    signal += double{values[i]} * values[i];
    noise += (values[i] - decoded) * (values[i] - decoded);
  }
  return 10 * std::log10(signal / noise);
}

TEST_F(Mxint8, ReportAndFilesAreOfTheFormat) {
  QuantizeOptions options = int8_options(out(), Layout::kDiffusers);
  const auto result = quantize_model(options, {});
  EXPECT_EQ(result["options"]["format"], "mxint8");
  const auto& component = result["components"][0];
  EXPECT_EQ(component["mxint8_layers"], 20);
  EXPECT_EQ(component["mxfp8_layers"], 0);
  const char* file = "transformer/diffusion_pytorch_model.safetensors";
  const StoredTensors source = read_tensors(golden_model(kModel) / file);
  const StoredTensors written = read_tensors(out() / file);
  const auto description = json_of_file(out() / "transformer/quant_model_description.json");
  EXPECT_EQ(description["model_quant_type"], "W8A8_MXINT8");
  ASSERT_EQ(component["layers"].size(), 20u);
  for (const auto& layer : component["layers"]) {
    const std::string weight = layer["layer"].get<std::string>() + ".weight";
    const StoredBytes& codes = written.at(weight);
    EXPECT_EQ(codes.dtype, DType::kI8);
    EXPECT_EQ(written.at(weight + "_scale").dtype, DType::kU8);
    EXPECT_EQ(description[weight], "W8A8_MXINT8");
    EXPECT_EQ(description[weight + "_scale"], "W8A8_MXINT8");
    EXPECT_EQ(codes.bytes.find('\x80'), std::string::npos) << "-128";
    const double expected = sqnr_db(source.at(weight), codes, written.at(weight + "_scale"));
    EXPECT_NEAR(layer["sqnr_db"].get<double>(), expected, 1e-4);
    EXPECT_GT(expected, 38);  // MXFP8: about 31
    EXPECT_EQ(layer["saturated"], 0);
    EXPECT_LE(layer["max_relative_error"].get<double>(), 1 / 127.0);
    std::map<std::string, int64_t> exponents;
    for (const char byte : written.at(weight + "_scale").bytes) {
      ++exponents[std::to_string(static_cast<uint8_t>(byte) - 127)];
    }
    EXPECT_EQ((layer["scale_exponents"].get<std::map<std::string, int64_t>>()), exponents);
  }
}

TEST_F(Mxint8, RoundTripsAreBitIdentical) {
  const fs::path raw = quantized("raw", Layout::kModelSlim);
  for (const fs::path& source : {raw, mixed()}) {
    RepackOptions options = repack_options(source, source.string() + "-d", Layout::kDiffusers);
    options.original = golden_model(kModel);
    EXPECT_EQ(repack_model(options, {})["verified"], true);
    options = repack_options(options.output.path, source.string() + "-back", Layout::kModelSlim);
    repack_model(options, {});
    auto expected = files_of(source), files = files_of(options.output.path);
    expected.erase("complete.json");
    files.erase("complete.json");
    EXPECT_EQ(json_of_file(options.output.path / kRawDescription),
              json_of_file(source / kRawDescription));
    expected.erase(kRawDescription);  // its blanks
    files.erase(kRawDescription);
    EXPECT_EQ(expected.size(), 2u);
    EXPECT_TRUE(expected.contains(kRawWeights));
    EXPECT_TRUE(files == expected) << source;
  }
  // What quantize writes for the other layout.
  const auto direct = read_tensors(quantized("direct", Layout::kDiffusers) /
                                   "transformer/diffusion_pytorch_model.safetensors");
  const auto repacked =
      read_tensors(out("raw-d") / "transformer/diffusion_pytorch_model.safetensors");
  ASSERT_EQ(repacked.size(), direct.size());
  for (const auto& [name, tensor] : direct) {
    EXPECT_EQ(repacked.at(name).dtype, tensor.dtype) << name;
    EXPECT_TRUE(repacked.at(name).bytes == tensor.bytes) << name;
  }
}

// Some exports describe weights and leave their scales out.
TEST_F(Mxint8, ScalesThatADescriptionOmitsAreOfTheirLayersType) {
  const fs::path raw = mixed();
  edit_json(raw / kRawDescription, [](nlohmann::ordered_json& json) {
    const nlohmann::ordered_json before = json;
    for (const auto& [name, type] : before.items()) {
      if (name.ends_with(".weight_scale")) json.erase(name);
    }
  });
  RepackOptions options = repack_options(raw, out(), Layout::kDiffusers);
  options.original = golden_model(kModel);
  repack_model(options, {});
  const auto description = json_of_file(out() / "transformer/quant_model_description.json");
  EXPECT_EQ(description["blocks.0.attn1.to_q.weight_scale"], "W8A8_MXINT8");
  EXPECT_EQ(description["blocks.0.ffn.net.2.weight_scale"], "W8A8_MXFP8");
}

TEST_F(Mxint8, FilesAreNamedAfterMostLayers) {
  const fs::path raw = mixed();
  const auto make_float = [&](const std::string& fragment) {
    edit_json(raw / kRawDescription, [&](nlohmann::ordered_json& json) {
      const nlohmann::ordered_json before = json;
      for (const auto& [name, type] : before.items()) {
        if (name.find(fragment) == std::string::npos || type != "W8A8_MXINT8") continue;
        json[name] = "FLOAT";
        if (name.ends_with(".weight_scale")) json.erase(name);
      }
    });
    edit_tensors(raw / kRawWeights, [&](StoredTensors& tensors) {
      std::erase_if(tensors, [&](const auto& entry) {
        return entry.first.find(fragment) != std::string::npos &&
               entry.first.ends_with(".weight_scale");
      });
      for (auto& [name, tensor] : tensors) {
        if (name.find(fragment) == std::string::npos || tensor.dtype != DType::kI8) continue;
        tensor.dtype = DType::kBF16;
        tensor.bytes.resize(2 * tensor.bytes.size());
      }
    });
  };
  make_float(".self_attn.");
  make_float(".cross_attn.");  // 4 MXFP8 layers are left
  const fs::path target = out("renamed");
  const auto result = repack_model(repack_options(raw, target, Layout::kModelSlim), {});
  EXPECT_EQ(result["components"][0]["mxfp8_layers"], 4);
  EXPECT_EQ(result["components"][0]["mxint8_layers"], 0);
  EXPECT_TRUE(fs::exists(target / "quant_model_weight_w8a8_mxfp8.safetensors"));
  EXPECT_TRUE(fs::exists(target / "quant_model_description_w8a8_mxfp8.json"));
}

TEST_F(Mxint8, ComfyIsRefusedBeforeAnythingIsWritten) {
  const auto nothing_written = [&] {
    return !fs::exists(out("comfy")) && !fs::exists(out("comfy.partial"));
  };
  expect_error_with(Code::kInvalidArgument, field("layout") + " comfy: ComfyUI has no format",
                    [&] { quantize_model(int8_options(out("comfy"), Layout::kComfy), {}); });
  EXPECT_TRUE(nothing_written());
  expect_error_with(
      Code::kUnsupported,
      "16 layers cannot go into " + field("layout") + " comfy: blocks.{0,1}.attn1",
      [&] { repack_model(repack_options(mixed(), out("comfy"), Layout::kComfy), {}); });
  EXPECT_TRUE(nothing_written());
}

// A run that was stopped is gone on with only by the same format.
TEST_F(Mxint8, AnotherFormatIsAnotherJob) {
  QuantizeOptions options = int8_options(out(), Layout::kDiffusers);
  options.min_sqnr_db = 90;
  expect_error_with(Code::kMismatch, "below 90 dB", [&] { quantize_model(options, {}); });
  options.min_sqnr_db.reset();
  options.mx.element = MxElement::kE4m3;
  expect_error_with(Code::kInvalidArgument, "is the partial output of another job",
                    [&] { quantize_model(options, {}); });
  options.mx.element = MxElement::kInt8;
  std::vector<std::string> notes;
  ConvertHooks hooks;
  hooks.notice = [&](const std::string& line) { notes.push_back(line); };
  quantize_model(options, hooks);
  ASSERT_EQ(notes.size(), 2u);  // the first names the linked weights
  EXPECT_TRUE(notes[1].starts_with("reusing ")) << notes[1];
}

TEST_F(Mxint8, InspectSaysWhatEachLayerIsAndRunsAs) {
  const auto json = inspect_json(inspect_model(mixed()), {.layers = true, .tensors = false});
  const auto& part = json["components"][0];
  EXPECT_EQ(part["effective"], (nlohmann::ordered_json{{"mxfp8", 4}, {"mxint8", 16}, {"none", 6}}));
  EXPECT_EQ(part["layer_types"]["attn1.to_q"], (nlohmann::ordered_json{{"W8A8_MXINT8", 2}}));
  EXPECT_EQ(part["layer_types"]["ffn.net.2"], (nlohmann::ordered_json{{"W8A8_MXFP8", 2}}));
  for (const auto& layer : part["layers"]) {
    if (layer["name"] != "blocks.1.attn2.to_v") continue;
    EXPECT_EQ(layer["declared"], "W8A8_MXINT8");
    EXPECT_EQ(layer["scheme"], "mxint8");
    EXPECT_EQ(layer["weight_bits"], 8.25);
  }
}

TEST_F(Mxint8, VerifyReadsTheValuesOfEachFormat) {
  const fs::path raw = mixed();
  VerifyOptions options;
  options.path = raw;
  options.original = golden_model(kModel) / "transformer";
  options.min_sqnr_db = 25;
  const VerifyReport good = verify_model(options);
  EXPECT_EQ(good.problems, std::vector<std::string>());
  int fp8 = 0, int8 = 0;
  for (const ValueDifference& difference : good.parts.at(0).comparison.tensors) {
    if (!difference.quantized) continue;
    const bool is_fp8 = difference.name.find(".ffn.") != std::string::npos;
    (is_fp8 ? fp8 : int8) += 1;
    EXPECT_GT(difference.sqnr_db, is_fp8 ? 28 : 38) << difference.name;
    EXPECT_LT(difference.sqnr_db, is_fp8 ? 36 : 50) << difference.name;
  }
  EXPECT_EQ(fp8, 4);
  EXPECT_EQ(int8, 16);
  // -128 and the codes that are NaN in E4M3 are numbers here; 0xFF is no scale.
  edit_tensors(raw / kRawWeights, [](StoredTensors& tensors) {
    tensors.at("blocks.0.self_attn.q.weight").bytes[0] = '\x80';
    tensors.at("blocks.0.self_attn.k.weight").bytes[0] = '\x7f';
    tensors.at("blocks.0.self_attn.v.weight").bytes[0] = '\xff';
  });
  options.original.reset();
  EXPECT_EQ(verify_model(options).problems, std::vector<std::string>());
  edit_tensors(raw / kRawWeights, [](StoredTensors& tensors) {
    tensors.at("blocks.0.self_attn.q.weight_scale").bytes[0] = '\xff';
  });
  const VerifyReport bad = verify_model(options);
  ASSERT_FALSE(bad.problems.empty());
  EXPECT_NE(bad.problems[0].find("blocks.0.attn1.to_q.weight_scale (1 of"), std::string::npos)
      << bad.problems[0];
}

}  // namespace
}  // namespace mxvideo::convert
