// Product code for quantized files against comfy-kitchen, microxcaling, the safetensors library and
// the key sets of the published models.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <fstream>
#include <set>

#include "base/file/mapped_file.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/modelslim.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/wan/key_map.h"
#include "formats/mx_block.h"
#include "formats/scale_layout.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;

std::string prefix_of(const std::string& name) { return name.substr(0, name.rfind('.')); }

std::set<std::string> prefixes(const GoldenFile& file) {
  std::set<std::string> result;
  for (const std::string& name : file.names()) result.insert(prefix_of(name));
  return result;
}

void expect_same_bits(const std::vector<float>& expected, const std::vector<float>& actual,
                      const std::string& what) {
  ASSERT_EQ(expected.size(), actual.size()) << what;
  EXPECT_EQ(std::memcmp(expected.data(), actual.data(), 4 * expected.size()), 0) << what;
}

TEST(OfflineGolden, TilesOfComfyKitchen) {
  const GoldenFile file("offline/swizzle.safetensors");
  ASSERT_EQ(prefixes(file).size(), 10u);
  for (const std::string& grid_name : prefixes(file)) {
    const auto shape = file.shape(grid_name + ".row_major");
    const formats::ScaleGrid grid{.rows = shape[0], .columns = shape[1]};
    EXPECT_EQ(file.shape(grid_name + ".swizzled"),
              (std::vector<int64_t>{grid.padded_rows(), grid.padded_columns()}));
    const auto row_major = file.u8(grid_name + ".row_major");
    const auto expected = file.u8(grid_name + ".swizzled");
    std::vector<uint8_t> swizzled(expected.size(), 0xee), back(row_major.size(), 0xee);
    formats::swizzle_scales(grid, row_major.data(), swizzled.data());
    EXPECT_EQ(swizzled, expected) << grid_name;
    formats::unswizzle_scales(grid, expected.data(), back.data());
    EXPECT_EQ(back, row_major) << grid_name;
  }
}

struct Quantized {
  std::vector<uint8_t> codes;
  std::vector<uint8_t> scales;
  std::vector<float> values;  // dequantized again
};

Quantized quantize(const std::vector<float>& input, const formats::MxOptions& options) {
  Quantized result{.codes = std::vector<uint8_t>(input.size()),
                   .scales = {},
                   .values = std::vector<float>(input.size())};
  for (size_t begin = 0; begin < input.size(); begin += 32) {
    const std::span<uint8_t, 32> codes(result.codes.data() + begin, 32);
    result.scales.push_back(formats::quantize_mx_block(
        std::span<const float, 32>(input.data() + begin, 32), options, codes));
    formats::dequantize_mx_block(codes, result.scales.back(), options.element,
                                 std::span<float, 32>(result.values.data() + begin, 32));
  }
  return result;
}

TEST(OfflineGolden, WeightsOfComfyKitchen) {
  const GoldenFile file("offline/comfy.safetensors");
  ASSERT_EQ(prefixes(file).size(), 2u);
  for (const std::string& name : prefixes(file)) {
    const auto shape = file.shape(name + ".weight");
    const formats::ScaleGrid grid{.rows = shape[0], .columns = shape[1] / 32};
    const Quantized got =
        quantize(file.f32(name + ".input"), {.scale_rule = formats::ScaleRule::kRceil});
    EXPECT_EQ(got.codes, file.u8(name + ".weight")) << name;
    const auto expected = file.u8(name + ".weight_scale");
    std::vector<uint8_t> tiles(expected.size());
    formats::swizzle_scales(grid, got.scales.data(), tiles.data());
    EXPECT_EQ(tiles, expected) << name;
    expect_same_bits(file.f32(name + ".dequantized"), got.values, name);
  }
}

TEST(OfflineGolden, FloorScalesAndHalvesAwayFromZero) {
  const GoldenFile file("offline/floor_half_away.safetensors");
  const Quantized got = quantize(
      file.f32("input"),
      {.scale_rule = formats::ScaleRule::kFloor, .rounding = formats::ElementRounding::kHalfAway});
  const std::vector<float> expected = file.f32("dequantized");
  ASSERT_EQ(expected.size(), 256u * 32);
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(got.values[i], expected[i]) << i;
}

TEST(OfflineGolden, WriterMakesTheBytesOfTheLibrary) {
  const std::string path = golden_path("offline/library_types.safetensors");
  const auto source = checkpoint::Checkpoint::open_file(path);
  std::vector<checkpoint::NamedTensor> tensors;
  for (const auto& [name, tensor] : source.tensors()) tensors.push_back({name, tensor.view});
  EXPECT_EQ(tensors.size(), 17u);
  const TemporaryDirectory folder;
  const fs::path copy = folder.path() / "copy.safetensors";
  checkpoint::write_safetensors(copy, tensors, source.metadata());
  const auto read = [](const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  EXPECT_TRUE(read(path) == read(copy));
}

using Pairs = std::map<std::string, std::string>;  // original name -> Diffusers name

Pairs name_pairs(const std::string& model) {
  Pairs pairs;
  std::ifstream stream(golden_path("checkpoint/names_transformer_" + model + ".tsv"));
  for (std::string line; std::getline(stream, line);) {
    const size_t tab = line.find('\t');
    pairs.emplace(line.substr(0, tab), line.substr(tab + 1));
  }
  return pairs;
}

// What msmodelslim writes for these tensors, scales included; and with other names.
struct Descriptions {
  checkpoint::ModelSlimDescription original, diffusers, repacked_by_sglang;
};

Descriptions describe(const Pairs& pairs) {
  Descriptions result;
  const auto add = [&](const std::string& mine, const std::string& theirs, const char* type) {
    result.original.types.emplace(mine, type);
    result.diffusers.types.emplace(theirs, type);
    result.repacked_by_sglang.types.emplace(theirs, type);
  };
  for (const auto& [mine, theirs] : pairs) {
    const bool block_linear = theirs.starts_with("blocks.") && theirs.ends_with(".weight") &&
                              theirs.find("norm") == theirs.npos;
    add(mine, theirs, block_linear ? "W8A8_MXFP8" : "FLOAT");
    if (block_linear) add(mine + "_scale", theirs + "_scale", "W8A8_MXFP8");
  }
  for (int block = 0; pairs.contains("blocks." + std::to_string(block) + ".modulation"); ++block) {
    const std::string root = "blocks." + std::to_string(block);
    const std::string mine = root + ".self_attn", theirs = root + ".attn1";
    add(mine + ".q_rot", theirs + ".to_q_rot", "FLOAT");
    add(mine + ".k_rot", theirs + ".to_k_rot", "FLOAT");
    // No tensor has this name, so SGLang's tool leaves it as it is.
    result.original.types.emplace(mine + ".quant_type", "FP8_DYNAMIC");
    result.diffusers.types.emplace(theirs + ".quant_type", "FP8_DYNAMIC");
    result.repacked_by_sglang.types.emplace(mine + ".quant_type", "FP8_DYNAMIC");
  }
  return result;
}

TEST(OfflineGolden, DescriptionsOfTheFullKeySets) {
  struct Model {
    const char* name;
    size_t tensors, blocks;
  };
  for (const Model& model : {Model{"a14b", 1095, 40}, Model{"5b", 825, 30}}) {
    const Pairs pairs = name_pairs(model.name);
    ASSERT_EQ(pairs.size(), model.tensors);
    const Descriptions described = describe(pairs);
    const auto& expected = described.diffusers.types;
    // Scales of ten layers a block, two rotations, the type of its attention.
    ASSERT_EQ(expected.size(), model.tensors + 13 * model.blocks);
    for (const auto* names :
         {&described.original, &described.diffusers, &described.repacked_by_sglang}) {
      EXPECT_EQ(checkpoint::canonical_description(*names, "test").types, expected) << model.name;
    }
    for (const auto& [name, type] : expected) {
      const std::string original = checkpoint::original_transformer_name(name);
      EXPECT_TRUE(described.original.types.contains(original)) << name << " -> " << original;
      EXPECT_EQ(
          checkpoint::canonical_transformer_name(original, checkpoint::NamingStyle::kOriginal),
          name);
    }
  }
}

}  // namespace
}  // namespace mxvideo::test
