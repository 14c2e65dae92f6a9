// What the models plan is what they allocate, byte by byte.
#include <gtest/gtest.h>

#include <set>

#include "base/text/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/wan/key_map.h"
#include "models/umt5/umt5_encoder.h"
#include "models/wan_transformer/wan_transformer.h"
#include "models/wan_vae/wan_vae.h"

namespace mxvideo::models {
namespace {

std::filesystem::path component(const std::string& variant, const std::string& name) {
  return std::filesystem::path(MXVIDEO_GOLDEN_DIR) / "models" / variant / name;
}

template <class Config>
Config read_config(const std::filesystem::path& directory) {
  const auto path = directory / "config.json";
  return Config::from_json(read_json_file(path), path.string());
}

// Loads what is planned: the plan's bytes are those of the loaded model and of its load.
template <class Model>
void load_as_planned(const std::filesystem::path& directory, checkpoint::Component kind,
                     Model& model) {
  auto files = checkpoint::Checkpoint::open_directory(directory);
  checkpoint::normalize_names(files, kind);
  checkpoint::ParameterLoader loader;
  model.declare_parameters(loader);
  const checkpoint::LoadPlan plan = loader.plan(files);
  const int64_t before = cpu_device().allocated_bytes();
  cpu_device().reset_peak_allocated_bytes();
  const checkpoint::LoadReport report = loader.load(files);
  EXPECT_EQ(plan.resident, model.weight_bytes());
  EXPECT_EQ(plan.resident, cpu_device().allocated_bytes() - before);
  EXPECT_EQ(plan.checkpoint_bytes, report.checkpoint_bytes);
  // The plan's peak has the mapped pages of one group in it, which no device allocates.
  EXPECT_GE(plan.peak, cpu_device().peak_allocated_bytes() - before);
}

// Highest growth of the device's memory during `run`.
template <class Run>
int64_t measured(const Run& run) {
  const int64_t before = cpu_device().allocated_bytes();
  cpu_device().reset_peak_allocated_bytes();
  run();
  return cpu_device().peak_allocated_bytes() - before;
}

struct VaeCase {
  const char* variant;
  Shape latents;
  std::optional<WanVaeTiling> tiling;
};

class VaePlanTest : public testing::TestWithParam<VaeCase> {};

TEST_P(VaePlanTest, DecodeAllocatesWhatIsPlanned) {
  const VaeCase& c = GetParam();
  const auto directory = component(c.variant, "vae");
  WanVae vae(read_config<WanVaeConfig>(directory), {.encoder = false, .decoder = true});
  load_as_planned(directory, checkpoint::Component::kVae, vae);
  kernels::Context planned, ran;
  MemoryTrace trace;
  vae.plan_decode(c.latents, {.context = &planned, .trace = &trace, .tiling = c.tiling});
  const Tensor latents = Tensor::zeros(c.latents);
  const int64_t weights = vae.weight_bytes();
  const int64_t growth = measured(
      [&] { vae.decode(latents, {.context = &ran, .tiling = c.tiling}, [](const auto&) {}); });
  EXPECT_EQ(trace.peak(), growth + weights);
  EXPECT_EQ(trace.live(), 0);
  for (const auto& [choice, calls] : ran.choices) {
    EXPECT_TRUE(planned.choices.contains(choice)) << choice.first << " " << choice.second;
  }
  EXPECT_EQ(planned.choices.size(), ran.choices.size());
}

TEST_P(VaePlanTest, EncodeAllocatesWhatIsPlanned) {
  const VaeCase& c = GetParam();
  const auto directory = component(c.variant, "vae");
  WanVae vae(read_config<WanVaeConfig>(directory), {.encoder = true, .decoder = false});
  load_as_planned(directory, checkpoint::Component::kVae, vae);
  const int64_t scale = vae.config().scale_factor_spatial;
  const Shape shape{4 * (c.latents[1] - 1) + 1, c.latents[2] * scale, c.latents[3] * scale, 3};
  kernels::Context context;
  MemoryTrace trace;
  vae.plan_encode(shape, {.context = &context, .trace = &trace, .tiling = c.tiling});
  const Tensor video = Tensor::zeros(shape);
  const int64_t weights = vae.weight_bytes();
  const int64_t growth =
      measured([&] { vae.encode(video, {.context = &context, .tiling = c.tiling}); });
  EXPECT_EQ(trace.peak(), growth + weights);
}

WanVaeTiling tiles(int64_t pixels) {
  return {.mode = WanVaeTiling::Mode::kExact,
          .tile_height = pixels,
          .tile_width = pixels,
          .stride_height = pixels,
          .stride_width = pixels};
}

INSTANTIATE_TEST_SUITE_P(Shapes, VaePlanTest,
                         testing::Values(VaeCase{"t2v-a14b", {16, 1, 4, 4}, std::nullopt},
                                         VaeCase{"t2v-a14b", {16, 4, 6, 5}, std::nullopt},
                                         VaeCase{"t2v-a14b", {16, 2, 13, 12}, tiles(48)},
                                         VaeCase{"ti2v-5b", {48, 7, 4, 6}, std::nullopt},
                                         VaeCase{"ti2v-5b", {48, 2, 11, 12}, tiles(96)}));

struct ForwardCase {
  const char* variant;
  const char* scheme;
  int64_t time_rows;
};

class TransformerPlanTest : public testing::TestWithParam<ForwardCase> {};

TEST_P(TransformerPlanTest, ForwardAllocatesWhatIsPlanned) {
  const ForwardCase& c = GetParam();
  const auto directory = component(c.variant, "transformer");
  const auto config = read_config<WanTransformerConfig>(directory);
  WanTransformer model(config, *quantization::make_quantization_config(
                                   {.scheme = c.scheme, .ignored_layers = {}, .mx = {}}));
  load_as_planned(directory, checkpoint::Component::kTransformer, model);
  const Tensor latents = Tensor::zeros({config.in_channels, 3, 8, 10});
  Tensor text = Tensor::zeros({512, config.text_dim});
  for (int64_t i = 0; i < 40 * config.text_dim; ++i) text.f32()[i] = 0.25f;
  text.f32()[40 * config.text_dim - 1] = 1;
  const int64_t tokens = model.token_count(latents.shape());
  std::optional<WanTransformerWorkspace> workspace;
  const int64_t planned_workspace = WanTransformerWorkspace::planned_bytes(model, latents.shape());
  EXPECT_EQ(planned_workspace, measured([&] { workspace.emplace(model, latents.shape()); }));
  EXPECT_EQ(planned_workspace, workspace->bytes());

  LayerKernels planned;
  kernels::Context ran;
  WanTextContext prompt;
  {
    MemoryTrace trace;
    const PlannedTensor result = model.plan_text(41, trace, planned);
    EXPECT_EQ(trace.peak(), measured([&] { prompt = model.encode_text({.text = &text}, ran); }));
    EXPECT_EQ(trace.live(), prompt.bytes());
  }

  MemoryTrace trace;
  model.plan_forward({.latents = latents.shape(), .time_rows = c.time_rows, .text_rows = {41, 41}},
                     trace, planned);
  WanTransformerInput input;
  input.latents = &latents;
  input.texts = {&prompt, &prompt};
  input.timesteps.assign(static_cast<size_t>(c.time_rows), 500.0f);
  if (c.time_rows > 1) input.token_timestep.assign(static_cast<size_t>(tokens), 1);
  EXPECT_EQ(trace.peak(), measured([&] { model.forward(input, *workspace, ran); }));
  EXPECT_EQ(trace.live(), 0);

  std::set<std::pair<std::string, std::string>> choices;
  for (const auto& [layer, context] : planned) {
    for (const auto& [choice, calls] : context.choices) choices.insert(choice);
  }
  for (const auto& [choice, calls] : ran.choices) {
    EXPECT_TRUE(choices.contains(choice)) << choice.first << " " << choice.second;
  }
}

INSTANTIATE_TEST_SUITE_P(Schemes, TransformerPlanTest,
                         testing::Values(ForwardCase{"t2v-a14b", "none", 1},
                                         ForwardCase{"t2v-a14b", "mxfp8", 1},
                                         ForwardCase{"ti2v-5b", "mxfp8", 2}));

TEST(Umt5PlanTest, EncodeAllocatesWhatIsPlanned) {
  const auto directory = component("t2v-a14b", "text_encoder");
  Umt5Encoder encoder(read_config<Umt5Config>(directory));
  load_as_planned(directory, checkpoint::Component::kTextEncoder, encoder);
  for (const int64_t tokens : {1, 7, 300}) {
    kernels::Context context;
    MemoryTrace trace;
    encoder.plan_encode(tokens, context, trace);
    const std::vector<int32_t> ids(static_cast<size_t>(tokens), 3);
    EXPECT_EQ(trace.peak(), measured([&] { encoder.encode(ids, context); })) << tokens;
  }
}

}  // namespace
}  // namespace mxvideo::models
