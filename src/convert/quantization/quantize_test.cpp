#include "convert/quantization/quantize.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/parallel.h"
#include "base/text/field.h"
#include "checkpoint/wan/key_map.h"
#include "convert/convert_test_support.h"
#include "support/test_support.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;
using test::edit_json;
using test::edit_tensors;
using test::expect_error_with;
using test::files_of;
using test::golden_model;
using test::json_of_file;
using test::quantize_options;
using test::read_tensors;
using test::StoredBytes;
using test::StoredTensors;

class QuantizeTest : public testing::Test {
 protected:
  fs::path out(const std::string& name = "out") const { return folder_.path() / name; }

  // A writable copy of a golden model.
  fs::path copy_of(const std::string& model) const {
    fs::path copy = folder_.path() / "model";
    fs::copy(golden_model(model), copy, fs::copy_options::recursive);
    return copy;
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

// The definition of the format, block by block.
void expect_quantized(const StoredBytes& source, const StoredBytes& codes,
                      const StoredBytes& scales, const formats::MxOptions& mx,
                      const std::string& name) {
  const std::vector<float> values = floats(source);
  ASSERT_EQ(codes.bytes.size(), values.size()) << name;
  ASSERT_EQ(scales.bytes.size() * 32, values.size()) << name;
  for (size_t block = 0; block < values.size() / 32; ++block) {
    std::array<uint8_t, 32> expected{};
    const uint8_t scale = formats::quantize_mx_block(
        std::span<const float, 32>(values.data() + block * 32, 32), mx, expected);
    ASSERT_EQ(static_cast<uint8_t>(scales.bytes[block]), scale) << name << " block " << block;
    ASSERT_EQ(std::memcmp(codes.bytes.data() + block * 32, expected.data(), 32), 0)
        << name << " block " << block;
  }
}

TEST_F(QuantizeTest, GivesTheBitsOfTheDefinitionUnderEveryRule) {
  const fs::path source = golden_model("ti2v-5b");
  const StoredTensors original =
      read_tensors(source / "transformer/diffusion_pytorch_model.safetensors");
  for (const formats::ScaleRule rule : {formats::ScaleRule::kRceil, formats::ScaleRule::kFloor,
                                        formats::ScaleRule::kCeil, formats::ScaleRule::kEven}) {
    for (const auto rounding :
         {formats::ElementRounding::kNearestEven, formats::ElementRounding::kHalfAway}) {
      const fs::path output = out(std::string(formats::scale_rule_name(rule)) +
                                  std::to_string(static_cast<int>(rounding)));
      QuantizeOptions options = quantize_options(source, output, Layout::kDiffusers);
      options.mx = {.scale_rule = rule, .rounding = rounding};
      quantize_model(options, {});
      const StoredTensors written =
          read_tensors(output / "transformer/diffusion_pytorch_model.safetensors");
      int quantized = 0;
      for (const auto& [name, tensor] : original) {
        const auto scales = written.find(name + "_scale");
        if (scales == written.end()) continue;
        ++quantized;
        EXPECT_EQ(written.at(name).dtype, DType::kF8E4M3);
        EXPECT_EQ(scales->second.dtype, DType::kU8);
        expect_quantized(tensor, written.at(name), scales->second, options.mx, name);
      }
      EXPECT_EQ(quantized, 20);
    }
  }
}

TEST_F(QuantizeTest, DiffusersLayoutIsAWholeModel) {
  const fs::path source = golden_model("t2v-a14b");
  const auto result = quantize_model(quantize_options(source, out(), Layout::kDiffusers), {});
  const auto written = files_of(out());
  for (const auto& [name, bytes] : files_of(source)) {
    if (name.ends_with("diffusion_pytorch_model.safetensors") && name.starts_with("transformer")) {
      continue;
    }
    ASSERT_TRUE(written.count(name)) << name;
    EXPECT_EQ(written.at(name), bytes) << name;
  }
  EXPECT_TRUE(written.count("complete.json"));
  EXPECT_EQ(written.size(), files_of(source).size() + 3);  // two descriptions, complete.json
  const auto description = json_of_file(out() / "transformer_2/quant_model_description.json");
  EXPECT_EQ(description["model_quant_type"], "W8A8_MXFP8");
  EXPECT_EQ(description["blocks.1.attn1.to_q.weight"], "W8A8_MXFP8");
  EXPECT_EQ(description["blocks.1.attn1.to_q.weight_scale"], "W8A8_MXFP8");
  EXPECT_EQ(description["blocks.1.attn1.to_q.bias"], "FLOAT");
  EXPECT_EQ(description["patch_embedding.weight"], "FLOAT");
  EXPECT_EQ(result["components"].size(), 2u);
  EXPECT_EQ(result["components"][0]["layers"].size(), 20u);
  EXPECT_GT(result["components"][0]["total"]["sqnr_db"].get<double>(), 25);
}

// In a cache of Hugging Face, whose files are links to blobs, an edit would damage every revision.
TEST_F(QuantizeTest, SharesNothingButWeightsWithItsSource) {
  const fs::path plain = copy_of("ti2v-5b");
  const fs::path repository = folder_.path() / "models--org--name";
  const fs::path snapshot = repository / "snapshots" / std::string(40, 'a');
  fs::create_directories(repository / "blobs");
  int blobs = 0;
  for (const auto& [name, bytes] : files_of(plain)) {
    const fs::path blob = repository / "blobs" / std::to_string(blobs++);
    fs::copy_file(plain / name, blob);
    fs::create_directories((snapshot / name).parent_path());
    fs::create_symlink(fs::relative(blob, (snapshot / name).parent_path()), snapshot / name);
  }
  for (const fs::path& source : {plain, snapshot}) {
    for (const bool copy : {false, true}) {
      const fs::path output = out(source.filename().string() + (copy ? "_copy" : "_link"));
      QuantizeOptions options = quantize_options(source, output, Layout::kDiffusers);
      options.output.copy = copy;
      std::vector<std::string> notes;
      ConvertHooks hooks;
      hooks.notice = [&](const std::string& line) { notes.push_back(line); };
      const auto result = quantize_model(options, hooks);
      std::vector<std::string> shared;
      for (const auto& [name, bytes] : files_of(output)) {
        const fs::path original = fs::exists(source / name) ? source / name : source;
        if (fs::equivalent(output / name, original)) shared.push_back(name);
        EXPECT_FALSE(fs::is_symlink(output / name)) << name;
      }
      const std::vector<std::string> weights = {"text_encoder/model.safetensors",
                                                "vae/diffusion_pytorch_model.safetensors"};
      EXPECT_EQ(shared, copy ? std::vector<std::string>() : weights);
      EXPECT_EQ(result["rest"]["linked"].size(), shared.size());
      ASSERT_EQ(notes.size(), copy ? 0u : 1u);
      if (!copy) {
        EXPECT_EQ(notes[0],
                  "2 weight files are hard links to the source, not copies: "
                  "text_encoder/model.safetensors, vae/diffusion_pytorch_model.safetensors; " +
                      field("copy") + " copies");
      }
    }
  }
}

TEST_F(QuantizeTest, CopiesFloatTensorsAndWidensBiases) {
  const fs::path source = golden_model("t2v-a14b");
  quantize_model(quantize_options(source, out(), Layout::kModelSlim), {});
  const StoredTensors original =
      read_tensors(source / "transformer/diffusion_pytorch_model.safetensors");
  const fs::path folder = out() / "high_noise_model";
  const StoredTensors written = read_tensors(folder / "quant_model_weight_w8a8_mxfp8.safetensors");
  EXPECT_EQ(written.size(), original.size() + 20);
  for (const auto& [name, tensor] : original) {
    const StoredBytes& target = written.at(checkpoint::original_transformer_name(name));
    if (target.dtype == DType::kF8E4M3) continue;
    EXPECT_EQ(floats(target), floats(tensor)) << name;
    const bool of_quantized =
        written.count(checkpoint::original_transformer_name(layer_of(name)) + ".weight_scale") > 0;
    EXPECT_EQ(target.dtype, of_quantized ? DType::kF32 : tensor.dtype) << name;
  }
  const auto description = json_of_file(folder / "quant_model_description_w8a8_mxfp8.json");
  EXPECT_EQ(description["blocks.0.self_attn.q.weight_scale"], "W8A8_MXFP8");
  EXPECT_EQ(description["blocks.0.cross_attn.o.bias"], "FLOAT");
  EXPECT_EQ(description["head.modulation"], "FLOAT");
  EXPECT_EQ(description.size(), written.size() + 1);
  const auto config = json_of_file(folder / "config.json");
  EXPECT_EQ(config["_class_name"], "WanModel");
  EXPECT_EQ(config["model_type"], "t2v");
  EXPECT_EQ(config["dim"], 128);
  EXPECT_EQ(config["text_dim"], 64);
  EXPECT_TRUE(fs::exists(out() / "low_noise_model/config.json"));
}

TEST_F(QuantizeTest, ComfyLayoutMarksLayersAndSwizzlesScales) {
  quantize_model(quantize_options(golden_model("i2v-a14b"), out("comfy"), Layout::kComfy), {});
  quantize_model(quantize_options(golden_model("i2v-a14b"), out("raw"), Layout::kModelSlim), {});
  const StoredTensors comfy = read_tensors(out("comfy") / "wan2.2_i2v_low_noise_mxfp8.safetensors");
  const StoredTensors raw =
      read_tensors(out("raw") / "low_noise_model/quant_model_weight_w8a8_mxfp8.safetensors");
  EXPECT_EQ(comfy.at("blocks.0.self_attn.q.comfy_quant").bytes, "{\"format\": \"mxfp8\"}");
  const StoredBytes& swizzled = comfy.at("blocks.0.self_attn.q.weight_scale");
  const StoredBytes& scales = raw.at("blocks.0.self_attn.q.weight_scale");
  EXPECT_EQ(swizzled.shape, (std::vector<int64_t>{128, 4}));
  EXPECT_EQ(scales.shape, (std::vector<int64_t>{96, 3}));
  for (size_t r = 0; r < 96; ++r) {  // cuBLAS: (r % 32)·16 + (r / 32)·4 + c
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_EQ(swizzled.bytes[r % 32 * 16 + r / 32 * 4 + c], scales.bytes[r * 3 + c]);
    }
  }
  EXPECT_EQ(comfy.size(), raw.size() + 20);
}

TEST_F(QuantizeTest, ReadsOriginalAndSingleFileSources) {
  // The same model as Diffusers directory, as original Wan directory and as single file.
  const fs::path source = golden_model("ti2v-5b");
  RepackOptions repack = test::repack_options(source, out("original"), Layout::kModelSlim);
  repack_model(repack, {});
  repack.output.path = out("single");
  repack.output.layout = Layout::kComfy;
  repack_model(repack, {});
  quantize_model(quantize_options(source, out("a"), Layout::kModelSlim), {});
  quantize_model(quantize_options(out("original"), out("b"), Layout::kModelSlim), {});
  QuantizeOptions options =
      quantize_options(out("single") / "wan2.2_ti2v.safetensors", out("c"), Layout::kModelSlim);
  // The width of the tiny model is no multiple of 128, so its file does not tell the heads.
  expect_error_with(Code::kInvalidArgument, field("original_model_path"),
                    [&] { quantize_model(options, {}); });
  options.original = source;
  quantize_model(options, {});
  const char* weights = "quant_model_weight_w8a8_mxfp8.safetensors";
  EXPECT_EQ(test::bytes_of_file(out("a") / weights), test::bytes_of_file(out("b") / weights));
  EXPECT_EQ(test::bytes_of_file(out("a") / weights), test::bytes_of_file(out("c") / weights));

  options.output.path = out("d");
  options.output.layout = Layout::kDiffusers;
  options.original.clear();
  expect_error_with(Code::kInvalidArgument, "name a Diffusers directory",
                    [&] { quantize_model(options, {}); });
  options.original = source;
  quantize_model(options, {});
  EXPECT_TRUE(fs::exists(out("d") / "vae/config.json"));
}

TEST_F(QuantizeTest, IgnoresLayersByGlob) {
  QuantizeOptions options = quantize_options(golden_model("ti2v-5b"), out(), Layout::kModelSlim);
  options.ignored_layers = {"blocks.0.*", "*.attn2.to_k"};
  const auto result = quantize_model(options, {});
  EXPECT_EQ(result["components"][0]["mxfp8_layers"], 9);
  const auto description = json_of_file(out() / "quant_model_description_w8a8_mxfp8.json");
  EXPECT_EQ(description["blocks.0.self_attn.q.weight"], "FLOAT");
  EXPECT_EQ(description["blocks.1.cross_attn.k.weight"], "FLOAT");
  EXPECT_EQ(description["blocks.1.cross_attn.v.weight"], "W8A8_MXFP8");
  options.output.path = out("other");
  options.ignored_layers = {"blocks.7.*", "blocks.1.*"};
  expect_error_with(Code::kInvalidArgument,
                    "no layer matches 'blocks.7.*' (the nearest is blocks.0.attn1.to_q)",
                    [&] { quantize_model(options, {}); });
}

TEST_F(QuantizeTest, ShardsAndIndex) {
  QuantizeOptions options = quantize_options(golden_model("ti2v-5b"), out(), Layout::kModelSlim);
  options.output.shard_bytes = 100'000;
  const auto result = quantize_model(options, {});
  const auto index = json_of_file(out() / "quant_model_weight_w8a8_mxfp8.safetensors.index.json");
  const size_t shards = result["components"][0]["files"].size();
  EXPECT_GT(shards, 3u);
  for (const auto& file : result["components"][0]["files"]) {
    const fs::path path = out() / file["file"].get<std::string>();
    EXPECT_EQ(static_cast<int64_t>(fs::file_size(path)), file["bytes"]);
    for (const auto& [name, tensor] : read_tensors(path)) {
      EXPECT_EQ(index["weight_map"][name], path.filename().string());
    }
  }
  // Weight, scales and bias of a layer stay together.
  EXPECT_EQ(index["weight_map"]["blocks.1.ffn.0.weight"],
            index["weight_map"]["blocks.1.ffn.0.weight_scale"]);
  const ModelSource reopened = open_model_source(
      {.path = out(), .high_noise = {}, .low_noise = {}, .path_field = "quant_path"}, {});
  check_transformer_tensors(reopened.experts[0], reopened.experts[0].config.sizes);
}

TEST_F(QuantizeTest, ReportIsTheSameForAnyThreadCount) {
  std::vector<std::string> reports;
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    const fs::path output = out(std::to_string(threads));
    auto result =
        quantize_model(quantize_options(golden_model("ti2v-5b"), output, Layout::kModelSlim), {});
    result.erase("output");
    reports.push_back(result.dump());
  }
  set_num_threads(2);
  EXPECT_EQ(reports[0], reports[1]);
  EXPECT_EQ(reports[0], reports[2]);
}

TEST_F(QuantizeTest, DryRunWritesNothing) {
  QuantizeOptions options = quantize_options(golden_model("t2v-a14b"), out(), Layout::kDiffusers);
  options.output.dry_run = true;
  const auto planned = quantize_model(options, {});
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  options.output.dry_run = false;
  quantize_model(options, {});
  for (const auto& component : planned["components"]) {
    for (const auto& file : component["files"]) {
      EXPECT_EQ(static_cast<int64_t>(fs::file_size(out() / file["file"].get<std::string>())),
                file["bytes"]);
    }
  }
}

TEST_F(QuantizeTest, ThresholdCommitsNothingAndARerunReuses) {
  QuantizeOptions options = quantize_options(golden_model("ti2v-5b"), out(), Layout::kModelSlim);
  options.min_sqnr_db = 90;
  ConvertHooks reporting;
  nlohmann::ordered_json report;
  reporting.report = [&](const nlohmann::ordered_json& json) { report = json; };
  expect_error_with(Code::kMismatch, "20 of 20 layers have an SQNR below 90 dB",
                    [&] { quantize_model(options, reporting); });
  EXPECT_EQ(report["components"][0]["layers"].size(), 20u);
  EXPECT_FALSE(fs::exists(out()));
  options.min_sqnr_db = 10;
  std::vector<std::string> notes;
  ConvertHooks hooks;
  hooks.notice = [&](const std::string& line) { notes.push_back(line); };
  const auto resumed = quantize_model(options, hooks);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0], "reusing quant_model_weight_w8a8_mxfp8.safetensors of an earlier run");
  auto fresh = quantize_model(
      quantize_options(golden_model("ti2v-5b"), out("fresh"), Layout::kModelSlim), {});
  EXPECT_EQ(resumed["components"].dump(), fresh["components"].dump());
}

TEST_F(QuantizeTest, CancelledRunLeavesNoOutput) {
  CancellationToken token;
  ConvertHooks hooks;
  hooks.cancellation = &token;
  hooks.progress = [&](std::string_view, int64_t done, int64_t) {
    if (done == 5) token.cancel();
  };
  expect_error_with(Code::kCancelled, "stopped", [&] {
    quantize_model(quantize_options(golden_model("ti2v-5b"), out(), Layout::kModelSlim), hooks);
  });
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(QuantizeTest, RefusesQuantizedSources) {
  for (const Layout layout : {Layout::kModelSlim, Layout::kDiffusers, Layout::kComfy}) {
    const fs::path quantized = out(std::string(layout_name(layout)));
    quantize_model(quantize_options(golden_model("t2v-a14b"), quantized, layout), {});
    expect_error_with(Code::kInvalidArgument, "mxvideo repack", [&] {
      quantize_model(quantize_options(quantized, out("again"), Layout::kModelSlim), {});
    });
  }
}

TEST_F(QuantizeTest, NamesTensorAndRowOfInfinity) {
  const fs::path model = copy_of("ti2v-5b");
  edit_tensors(model / "transformer/diffusion_pytorch_model.safetensors",
               [](StoredTensors& tensors) {
                 StoredBytes& weight = tensors.at("blocks.1.ffn.net.2.weight");
                 const int64_t size = dtype_size(weight.dtype);
                 const int64_t row_bytes = weight.shape[1] * size;
                 const std::string infinity =
                     size == 2 ? std::string("\x80\x7f", 2) : std::string("\0\0\x80\x7f", 4);
                 weight.bytes.replace(static_cast<size_t>(row_bytes * 17 + 3 * size),
                                      static_cast<size_t>(size), infinity);
               });
  expect_error_with(
      Code::kCorruptFile, "tensor blocks.1.ffn.net.2.weight: row 17 holds NaN or infinity",
      [&] { quantize_model(quantize_options(model, out(), Layout::kModelSlim), {}); });
  EXPECT_FALSE(fs::exists(out()));
}

TEST_F(QuantizeTest, RefusesWhatDoesNotFit) {
  const fs::path model = copy_of("ti2v-5b");
  const fs::path weights = model / "transformer/diffusion_pytorch_model.safetensors";
  QuantizeOptions options = quantize_options(model, out(), Layout::kModelSlim);
  edit_tensors(weights, [](StoredTensors& tensors) {
    tensors["extra.weight"] = tensors.at("proj_out.bias");
    tensors.erase("blocks.0.norm2.bias");
  });
  expect_error_with(Code::kCorruptFile, "1 missing: blocks.0.norm2.bias; 1 unexpected: extra",
                    [&] { quantize_model(options, {}); });
  options.model.path = golden_model("ti2v-5b");
  options.model_type = checkpoint::WanVariant::kT2V;
  expect_error_with(Code::kInvalidArgument, field("model_type") + " says Wan2.2-T2V-A14B, but ",
                    [&] { quantize_model(options, {}); });
  options.model_type.reset();
  options.output.layout = Layout::kComfy;
  options.output.shard_bytes = 1000;
  expect_error_with(Code::kInvalidArgument, field("shard_size"),
                    [&] { quantize_model(options, {}); });
  options.output.path = folder_.path() / "model";
  options.output.layout = Layout::kModelSlim;
  options.output.shard_bytes.reset();
  expect_error_with(Code::kInvalidArgument, "exists already", [&] { quantize_model(options, {}); });
}

TEST_F(QuantizeTest, RefusesAFfnThatBlocksDoNotDivide) {
  const fs::path model = copy_of("ti2v-5b");
  edit_json(model / "transformer/config.json",
            [](nlohmann::ordered_json& config) { config["ffn_dim"] = 216; });
  edit_tensors(model / "transformer/diffusion_pytorch_model.safetensors",
               [](StoredTensors& tensors) {
                 for (auto& [name, tensor] : tensors) {
                   for (int64_t& dim : tensor.shape) dim = dim == 224 ? 216 : dim;
                   tensor.bytes.resize(
                       static_cast<size_t>(Shape(tensor.shape).count() * dtype_size(tensor.dtype)));
                 }
               });
  expect_error_with(Code::kUnsupported, "multiple of 32, got 216", [&] {
    quantize_model(quantize_options(model, out(), Layout::kModelSlim), {});
  });
}

TEST_F(QuantizeTest, NeedsBothExperts) {
  RepackOptions repack =
      test::repack_options(golden_model("t2v-a14b"), out("comfy"), Layout::kComfy);
  repack_model(repack, {});
  const fs::path high = out("comfy") / "wan2.2_t2v_high_noise.safetensors";
  const fs::path low = out("comfy") / "wan2.2_t2v_low_noise.safetensors";
  expect_error_with(Code::kNotFound, "has 2 expert(s), got 1",
                    [&] { quantize_model(quantize_options(high, out(), Layout::kComfy), {}); });
  QuantizeOptions options = quantize_options({}, out(), Layout::kComfy);
  options.model.high_noise = high;
  expect_error_with(Code::kInvalidArgument, "belong together",
                    [&] { quantize_model(options, {}); });
  options.model.low_noise = low;
  quantize_model(options, {});
  EXPECT_TRUE(fs::exists(out() / "wan2.2_t2v_low_noise_mxfp8.safetensors"));
  options.model.path = high;
  expect_error_with(Code::kInvalidArgument, "excludes", [&] { quantize_model(options, {}); });
  options.model = {};
  expect_error_with(Code::kInvalidArgument, "is required", [&] { quantize_model(options, {}); });
}

}  // namespace
}  // namespace mxvideo::convert
