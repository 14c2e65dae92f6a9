// Quantized checkpoints that an independent script made: their tensors mean, bit for bit, what the
// script says that they mean, as files and as the linear layers that are loaded from them.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "checkpoint/transformer_checkpoint.h"
#include "exports/export_script.h"
#include "formats/half.h"
#include "formats/mx_block.h"
#include "quantization/quantization_config.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using checkpoint::QuantizationSource;
using checkpoint::TransformerCheckpoint;

const uint8_t* bytes_of(const TensorView& view) {
  return reinterpret_cast<const uint8_t*>(view.data);
}

std::vector<float> float_values(const TensorView& view) {
  std::vector<float> values(static_cast<size_t>(view.shape.count()));
  if (view.dtype == DType::kF32) {
    std::memcpy(values.data(), view.data, values.size() * sizeof(float));
    return values;
  }
  const bool bf16 = view.dtype == DType::kBF16;
  if (!bf16 && view.dtype != DType::kF16) throw std::runtime_error("no float tensor");
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, bytes_of(view) + 2 * i, sizeof(bits));
    values[i] = bf16 ? formats::decode_bf16(bits) : formats::decode_fp16(bits);
  }
  return values;
}

std::vector<uint8_t> row_major_scales(const TensorView& scale, const formats::ScaleGrid& grid,
                                      formats::ScaleLayout layout) {
  const size_t count = static_cast<size_t>(grid.rows * grid.columns);
  if (layout == formats::ScaleLayout::kRowMajor) {
    if (scale.shape.count() != grid.rows * grid.columns) throw std::runtime_error("scale shape");
    return {bytes_of(scale), bytes_of(scale) + count};
  }
  if (scale.shape.count() != grid.padded_rows() * grid.padded_columns()) {
    throw std::runtime_error("scale shape");
  }
  std::vector<uint8_t> scales(count);
  formats::unswizzle_scales(grid, bytes_of(scale), scales.data());
  return scales;
}

bool holds_int8(const TensorView& weight) { return weight.dtype == DType::kI8; }

std::vector<float> dequantized(const TensorView& weight, const TensorView& scale,
                               formats::ScaleLayout layout) {
  const auto element = holds_int8(weight) ? formats::MxElement::kInt8 : formats::MxElement::kE4m3;
  const int64_t n = weight.shape[0], k = weight.shape[1];
  const auto scales = row_major_scales(scale, {.rows = n, .columns = k / 32}, layout);
  std::vector<float> values(static_cast<size_t>(n * k));
  for (size_t block = 0; block < scales.size(); ++block) {
    formats::dequantize_mx_block(std::span<const uint8_t, 32>(bytes_of(weight) + 32 * block, 32),
                                 scales[block], element,
                                 std::span<float, 32>(values.data() + 32 * block, 32));
  }
  return values;
}

// Every tensor of `weights` but scales, markers and rotations, by canonical name, in fp32.
std::map<std::string, std::vector<float>> read_values(const TransformerCheckpoint& opened) {
  const auto& tensors = opened.checkpoint.tensors();
  const auto& companions = opened.quantization.companions;
  std::map<std::string, std::vector<float>> values;
  for (const auto& [name, tensor] : tensors) {
    const bool informs = std::find(companions.begin(), companions.end(), name) != companions.end();
    if (informs || name.ends_with(".weight_scale")) continue;
    const bool quantized = tensor.view.dtype == DType::kF8E4M3 || holds_int8(tensor.view);
    values[name] = quantized ? dequantized(tensor.view, tensors.at(name + "_scale").view,
                                           opened.quantization.scale_layout)
                             : float_values(tensor.view);
  }
  return values;
}

struct Form {
  const char* name;
  const char* form;                  // of the script
  std::vector<std::string> options;  // of the script
  QuantizationSource source;
  std::vector<std::string> meaning = {};  // options that say what the tensors mean
};

void PrintTo(const Form& form, std::ostream* stream) { *stream << form.name; }

// The first transformer of a tiny model in this form.
fs::path first_transformer(const std::string& variant, const Form& form, bool zero_bias = false) {
  std::vector<std::string> options = form.options;
  options.insert(options.end(), form.meaning.begin(), form.meaning.end());
  if (zero_bias) options.push_back("--zero-bias");
  const fs::path out = cached_export(form.form, variant, options);
  const bool two = variant != "ti2v-5b";
  if (form.source == QuantizationSource::kComfy) {
    return out / (two ? "wan2.2_" + variant.substr(0, 3) + "_high_noise_mxfp8.safetensors"
                      : "wan2.2_ti2v_mxfp8.safetensors");
  }
  if (std::string(form.form) != "modelslim") return out / "transformer";
  return two ? out / "high_noise_model" : out;
}

// What the script reads in its own raw export of what means the same; tests/exports/exports_test.py
// shows that it reads the same in every other form.
const GoldenFile& truth(const std::string& variant, const Form& form, bool zero_bias = false) {
  static const TemporaryDirectory kFolder;
  static std::map<std::tuple<std::string, std::vector<std::string>, bool>, GoldenFile> files;
  const auto key = std::tuple(variant, form.meaning, zero_bias);
  if (const auto found = files.find(key); found != files.end()) return found->second;
  const fs::path file = kFolder.path() / std::to_string(files.size());
  const Form raw{
      .name = "", .form = "modelslim", .options = {}, .source = {}, .meaning = form.meaning};
  dequantize_with_script(first_transformer(variant, raw, zero_bias), file);
  return files.emplace(key, GoldenFile(file.string())).first->second;
}

class ExportFiles : public testing::TestWithParam<std::tuple<const char*, Form>> {
 protected:
  const char* variant() const { return std::get<0>(GetParam()); }
  const Form& form() const { return std::get<1>(GetParam()); }
};

// The elements of the layers that --int8-layers names, and of no others.
TEST(ExportElements, AreThoseOfTheDescription) {
  const Form mixed{.name = "",
                   .form = "sglang",
                   .options = {},
                   .source = QuantizationSource::kModelSlim,
                   .meaning = {"--int8-layers", "*.to_k,*.ffn.net.2"}};
  const auto opened = checkpoint::open_transformer_checkpoint(first_transformer("ti2v-5b", mixed));
  size_t int8 = 0;
  for (const auto& [layer, entry] : opened.quantization.layers) {
    const bool named = layer.ends_with(".to_k") || layer.ends_with(".ffn.net.2");
    EXPECT_EQ(entry.element, named ? formats::MxElement::kInt8 : formats::MxElement::kE4m3);
    EXPECT_EQ(entry.type, named ? "W8A8_MXINT8" : "W8A8_MXFP8");
    int8 += named;
  }
  EXPECT_EQ(int8, 6u);
}

TEST_P(ExportFiles, MeansWhatTheScriptSays) {
  const TransformerCheckpoint opened =
      checkpoint::open_transformer_checkpoint(first_transformer(variant(), form()));
  EXPECT_EQ(opened.quantization.source, form().source);
  EXPECT_EQ(opened.quantization.layers.size(), 20u);
  for (const auto& [layer, entry] : opened.quantization.layers) EXPECT_TRUE(entry.element) << layer;

  const auto values = read_values(opened);
  const GoldenFile& expected_values = truth(variant(), form());
  EXPECT_EQ(values.size(), expected_values.names().size());
  for (const std::string& name : expected_values.names()) {
    ASSERT_TRUE(values.contains(name)) << name;
    const std::vector<float> expected = expected_values.f32(name);
    ASSERT_EQ(values.at(name).size(), expected.size()) << name;
    EXPECT_EQ(std::memcmp(values.at(name).data(), expected.data(), expected.size() * 4), 0) << name;
  }
}

// Every linear layer of a block, loaded; all other tensors are checked only.
std::vector<std::unique_ptr<quantization::LinearMethod>> load_layers(
    const TransformerCheckpoint& opened) {
  const auto resolved = quantization::resolve_quantization({}, opened.quantization);
  std::vector<std::unique_ptr<quantization::LinearMethod>> layers;
  checkpoint::ParameterLoader loader;
  resolved.config->declare_companions(loader);
  const auto& companions = opened.quantization.companions;
  for (const auto& [name, tensor] : opened.checkpoint.tensors()) {
    const size_t dot = name.rfind('.');
    const std::string layer = name.substr(0, dot);
    if (opened.quantization.layers.contains(layer)) {
      if (!name.ends_with(".weight")) continue;
      const auto& shape = tensor.view.shape;
      layers.push_back(resolved.config->make_linear(
          layer, {.out_features = shape[0], .in_features = shape[1]}, true));
      layers.back()->create_weights(loader);
    } else if (std::find(companions.begin(), companions.end(), name) == companions.end()) {
      loader.add_unused({{.name = name, .shape = tensor.view.shape, .dtypes = {}}});
    }
  }
  loader.load(opened.checkpoint);
  return layers;
}

// The weight [n, k] that a layer without bias multiplies with, seen from outside: unit vectors are
// exact in MXFP8 and MXINT8, and so is a sum of one product, as the format defines it.
std::vector<float> weight_seen_by_unit_vectors(const quantization::LinearMethod& layer) {
  const int64_t n = layer.shape().out_features, k = layer.shape().in_features;
  std::vector<float> x(static_cast<size_t>(k * k)), y(static_cast<size_t>(k * n));
  for (int64_t i = 0; i < k; ++i) x[static_cast<size_t>(i * k + i)] = 1;
  kernels::Context context;
  context.policy.forced_rows["gemm_mx"] = "reference";
  quantization::LinearInput input(x.data(), k, k);
  layer.apply(input, {.y = y.data()}, context);
  std::vector<float> weight(y.size());
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t i = 0; i < k; ++i) {
      weight[static_cast<size_t>(row * k + i)] = y[static_cast<size_t>(i * n + row)];
    }
  }
  return weight;
}

// One model is enough: i2v-a14b, whose 3 scales of a row need padding in ComfyUI's tiles.
class LoadedExport : public testing::TestWithParam<Form> {};

TEST_P(LoadedExport, MultipliesByWhatTheScriptSays) {
  const TransformerCheckpoint opened =
      checkpoint::open_transformer_checkpoint(first_transformer("i2v-a14b", GetParam(), true));
  const auto layers = load_layers(opened);
  ASSERT_EQ(layers.size(), 20u);
  for (const auto& layer : layers) {
    const auto& weight = opened.checkpoint.tensors().at(layer->name() + ".weight").view;
    EXPECT_STREQ(layer->scheme(), holds_int8(weight) ? "mxint8" : "mxfp8");
    const std::vector<float> expected =
        truth("i2v-a14b", GetParam(), true).f32(layer->name() + ".weight");
    const std::vector<float> seen = weight_seen_by_unit_vectors(*layer);
    ASSERT_EQ(seen.size(), expected.size());
    // Not by bits: -0 · 1 + 0 is +0.
    EXPECT_TRUE(seen == expected) << layer->name();
  }
}

constexpr auto kModelSlim = QuantizationSource::kModelSlim;
constexpr auto kConfig = QuantizationSource::kConfigJson;
constexpr auto kComfy = QuantizationSource::kComfy;

const Form kForms[] = {
    {"modelslim", "modelslim", {}, kModelSlim},
    {"modelslim_shards", "modelslim", {"--shards", "3"}, kModelSlim},
    {"modelslim_rotations",
     "modelslim",
     {"--rotations", "--attention-type", "FP8_DYNAMIC"},
     kModelSlim},
    {"modelslim_diffusers_description",
     "modelslim",
     {"--description-names", "diffusers"},
     kModelSlim},
    {"sglang", "sglang", {}, kModelSlim},
    {"sglang_rotations", "sglang", {"--rotations", "--attention-type", "FP8_DYNAMIC"}, kModelSlim},
    {"comfy", "comfy", {}, kComfy},
    {"comfy_prefix_e8m0_metadata",
     "comfy",
     {"--prefix", "model.diffusion_model.", "--scale-dtype", "F8_E8M0", "--markers", "metadata"},
     kComfy},
    {"vllm_omni", "config", {"--style", "vllm-omni"}, kConfig},
    {"vllm_omni_e8m0_shards", "config", {"--scale-dtype", "F8_E8M0", "--shards", "2"}, kConfig},
    {"sglang_cuda", "config", {"--style", "sglang-cuda"}, kConfig},
    {"compressed_tensors", "config", {"--style", "compressed-tensors"}, kConfig},
    {"modelslim_mxint8", "modelslim", {"--shards", "2"}, kModelSlim, {"--int8-layers", "*"}},
    {"sglang_mxint8", "sglang", {}, kModelSlim, {"--int8-layers", "*", "--rule", "rceil"}},
    {"sglang_mixed", "sglang", {}, kModelSlim, {"--int8-layers", "*.to_k,*.ffn.net.2"}},
};

std::string case_name(const testing::TestParamInfo<ExportFiles::ParamType>& parameters) {
  std::string name = std::get<0>(parameters.param);
  name += std::string("_") + std::get<1>(parameters.param).name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Forms, ExportFiles,
                         testing::Combine(testing::Values("t2v-a14b", "i2v-a14b", "ti2v-5b"),
                                          testing::ValuesIn(kForms)),
                         case_name);

INSTANTIATE_TEST_SUITE_P(Forms, LoadedExport, testing::ValuesIn(kForms),
                         [](const testing::TestParamInfo<Form>& parameters) {
                           return std::string(parameters.param.name);
                         });

}  // namespace
}  // namespace mxvideo::test
