#include "convert/component_plan.h"

#include <gtest/gtest.h>

#include "convert/convert_test_support.h"
#include "convert/layout.h"

namespace mxvideo::convert {
namespace {

// Layers of one tensor with `bytes` bytes each.
ComponentPlan plan_of(const std::vector<int64_t>& bytes) {
  ComponentPlan plan;
  plan.component = "transformer";
  plan.folder = "transformer";
  plan.stem = "model";
  for (const int64_t size : bytes) {
    const std::string name = "layer" + std::to_string(plan.layers.size());
    plan.layers.push_back(
        {.name = name,
         .tasks = {LiteralTensor{
             .target = {.name = name + ".weight", .dtype = DType::kU8, .shape = {size}},
             .bytes = std::string(static_cast<size_t>(size), 'x')}}});
  }
  return plan;
}

std::vector<int64_t> shard_sizes(const std::vector<int64_t>& layers, int64_t limit) {
  std::vector<int64_t> sizes;
  const ComponentPlan plan = plan_of(layers);
  for (const ShardPlan& shard : plan_shards(plan, limit)) sizes.push_back(shard.tensor_bytes);
  return sizes;
}

TEST(PlanShards, FillsEachShardUpToTheLimit) {
  EXPECT_EQ(shard_sizes({4, 4, 4, 4}, 8), (std::vector<int64_t>{8, 8}));
  EXPECT_EQ(shard_sizes({4, 5, 4}, 8), (std::vector<int64_t>{4, 5, 4}));
  EXPECT_EQ(shard_sizes({20, 1, 1}, 8), (std::vector<int64_t>{20, 2}));
  EXPECT_EQ(shard_sizes({4, 4}, 100), (std::vector<int64_t>{8}));
}

TEST(PlanShards, NamesShardsAsHuggingFaceDoes) {
  ComponentPlan plan = plan_of({8, 8, 8});
  const std::vector<ShardPlan> shards = plan_shards(plan, 8);
  EXPECT_EQ(shards[1].file, "transformer/model-00002-of-00003.safetensors");
  const auto index = nlohmann::json::parse(shard_index_text(shards));
  EXPECT_EQ(index["metadata"]["total_size"], 24);
  EXPECT_EQ(index["weight_map"]["layer2.weight"], "model-00003-of-00003.safetensors");
  EXPECT_EQ(shard_index_file(plan), "transformer/model.safetensors.index.json");

  const std::vector<ShardPlan> single = plan_shards(plan, 100);
  EXPECT_EQ(single[0].file, "transformer/model.safetensors");
  EXPECT_EQ(shard_index_text(single), "");
  plan.one_file = true;
  EXPECT_EQ(plan_shards(plan, 1).size(), 1u);
}

TEST(PlanShards, RefusesTwoTensorsOfOneName) {
  ComponentPlan plan = plan_of({1, 1});
  std::get<LiteralTensor>(plan.layers[1].tasks[0]).target.name = "layer0.weight";
  test::expect_error_with(Code::kCorruptFile, "two tensors become 'layer0.weight'",
                          [&] { plan_shards(plan, 8); });
}

TEST(LayoutNames, RoundTrip) {
  for (const Layout layout : {Layout::kModelSlim, Layout::kDiffusers, Layout::kComfy}) {
    EXPECT_EQ(parse_layout(layout_name(layout)), layout);
  }
  EXPECT_EQ(parse_layout("original"), Layout::kModelSlim);
  test::expect_error_with(Code::kInvalidArgument, "expected modelslim, diffusers or comfy",
                          [] { parse_layout("gguf"); });
  for (const char* name : {"Wan2.2-T2V-A14B", "Wan2.2-I2V-A14B", "Wan2.2-TI2V-5B"}) {
    EXPECT_EQ(model_type_name(parse_model_type(name)), name);
  }
  test::expect_error_with(Code::kInvalidArgument, "unknown type 'Wan2.1'",
                          [] { parse_model_type("Wan2.1"); });
}

}  // namespace
}  // namespace mxvideo::convert
