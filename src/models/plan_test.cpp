// What the models plan is what they allocate, byte by byte, and what they do, flop by flop.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <utility>

#include "base/text/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/wan/key_map.h"
#include "device/dry_device.h"
#include "kernels/common/working_memory.h"
#include "kernels/common/workload.h"
#include "kernels/layout/fill.h"
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

// A device that counts, and one model on it and on the host.
template <class Model>
struct Twins {
  DryDevice device;
  kernels::Context dry{{}, device};
  kernels::Context context;
  std::unique_ptr<Model> planned, model;

  template <class Make>
  Twins(const std::filesystem::path& directory, checkpoint::Component kind, const Make& make)
      : planned(make()), model(make()) {
    auto files = checkpoint::Checkpoint::open_directory(directory);
    checkpoint::normalize_names(files, kind);
    checkpoint::ParameterLoader dry_loader, loader;
    planned->declare_parameters(dry_loader);
    model->declare_parameters(loader);
    const checkpoint::LoadPlan plan = dry_loader.load_dry(files, dry);
    const int64_t before = cpu_device().allocated_bytes();
    cpu_device().reset_peak_allocated_bytes();
    const checkpoint::LoadReport report = loader.load(files, context);
    EXPECT_EQ(plan.resident, model->weight_bytes());
    EXPECT_EQ(plan.resident, cpu_device().allocated_bytes() - before);
    EXPECT_EQ(plan.checkpoint_bytes, report.checkpoint_bytes);
    // The plan's peak has the mapped pages of one group in it, which no device allocates.
    EXPECT_GE(plan.peak, cpu_device().peak_allocated_bytes() - before);
  }

  // Expects `run` to take the same of both devices, and the same rows, if less often, and the same
  // work, of which the dry device has seen only parts.
  template <class Run>
  void expect_equal(const Run& run) {
    std::map<std::string, std::pair<double, double>> planned_work, work;
    note_work(dry, planned_work);
    note_work(context, work);
    EXPECT_EQ(growth(device, [&] { run(*planned, dry); }),
              growth(cpu_device(), [&] { run(*model, context); }));
    std::set<std::pair<std::string, std::string>> planned_rows, rows;
    for (const auto& [row, calls] : dry.choices()) planned_rows.insert(row);
    for (const auto& [row, calls] : context.choices()) rows.insert(row);
    EXPECT_EQ(planned_rows, rows);
    EXPECT_EQ(planned_work, work);
    EXPECT_FALSE(work.empty());
    kernels::WorkingMemory plan(dry);
    run(*planned, dry);
    kernels::WorkingMemory memory(context, plan.arena().extent());
    run(*model, context);
    EXPECT_EQ(plan.arena().extent(), memory.arena().extent());
    EXPECT_EQ(memory.arena().beyond_plan(), 0);
  }

  // Flops and bytes of each op, as often as they are done.
  static void note_work(kernels::Context& context,
                        std::map<std::string, std::pair<double, double>>& work) {
    context.on_work = [&](const char* op, const char*, const kernels::Workload& workload) {
      work[op].first += context.repeats * workload.work.flops;
      work[op].second += context.repeats * workload.work.bytes;
    };
  }

  // Highest growth of a device's memory during `run`.
  template <class Run>
  static int64_t growth(Device& device, const Run& run) {
    const int64_t before = device.allocated_bytes();
    device.reset_peak_allocated_bytes();
    run();
    return device.peak_allocated_bytes() - before;
  }
};

struct VaeCase {
  const char* variant;
  Shape latents;
  std::optional<WanVaeTiling> tiling;
};

class VaePlanTest : public testing::TestWithParam<VaeCase> {};

TEST_P(VaePlanTest, DecodeAllocatesWhatIsPlanned) {
  const VaeCase& c = GetParam();
  const auto directory = component(c.variant, "vae");
  const auto config = read_config<WanVaeConfig>(directory);
  Twins<WanVae> twins(directory, checkpoint::Component::kVae, [&] {
    return std::make_unique<WanVae>(config, WanVaeParts{.encoder = false, .decoder = true});
  });
  twins.expect_equal([&](const WanVae& vae, kernels::Context& context) {
    Tensor latents = context.tensor(c.latents);
    kernels::fill({.y = latents, .width = latents.count()}, context);
    vae.decode(latents, {.context = &context, .tiling = c.tiling}, [](const auto&) {});
  });
}

TEST_P(VaePlanTest, EncodeAllocatesWhatIsPlanned) {
  const VaeCase& c = GetParam();
  const auto directory = component(c.variant, "vae");
  const auto config = read_config<WanVaeConfig>(directory);
  const int64_t scale = config.scale_factor_spatial;
  const Shape shape{4 * (c.latents[1] - 1) + 1, c.latents[2] * scale, c.latents[3] * scale, 3};
  Twins<WanVae> twins(directory, checkpoint::Component::kVae, [&] {
    return std::make_unique<WanVae>(config, WanVaeParts{.encoder = true, .decoder = false});
  });
  twins.expect_equal([&](const WanVae& vae, kernels::Context& context) {
    Tensor video = context.tensor(shape);
    kernels::fill({.y = video, .width = video.count()}, context);
    vae.encode(video, {.context = &context, .tiling = c.tiling});
  });
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
                                         VaeCase{"t2v-a14b", {16, 1, 54, 4}, tiles(48)},
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
  const auto scheme =
      quantization::make_quantization_config({.scheme = c.scheme, .ignored_layers = {}, .mx = {}});
  Twins<WanTransformer> twins(directory, checkpoint::Component::kTransformer,
                              [&] { return std::make_unique<WanTransformer>(config, *scheme); });
  const Shape shape{config.in_channels, 3, 8, 10};
  const auto zeros = [](const Shape& of, kernels::Context& context) {
    Tensor tensor = context.tensor(of);
    kernels::fill({.y = tensor, .width = tensor.count()}, context);
    return tensor;
  };
  twins.expect_equal([&](const WanTransformer& model, kernels::Context& context) {
    WanTransformerWorkspace workspace(model, shape, context);
    const Tensor text = zeros({40, config.text_dim}, context);
    const WanTextContext prompt = model.encode_text({.text = &text}, context);
    const Tensor latents = zeros(shape, context);
    WanTransformerInput input;
    input.latents = &latents;
    input.texts = {&prompt, &prompt};
    input.timesteps.assign(static_cast<size_t>(c.time_rows), 500.0f);
    if (c.time_rows > 1) {
      input.token_timestep.assign(static_cast<size_t>(model.token_count(shape)), 1);
    }
    model.forward(input, workspace, context);
  });
}

INSTANTIATE_TEST_SUITE_P(Schemes, TransformerPlanTest,
                         testing::Values(ForwardCase{"t2v-a14b", "none", 1},
                                         ForwardCase{"t2v-a14b", "mxfp8", 1},
                                         ForwardCase{"ti2v-5b", "mxfp8", 2}));

TEST(Umt5PlanTest, EncodeAllocatesWhatIsPlanned) {
  const auto directory = component("t2v-a14b", "text_encoder");
  Twins<Umt5Encoder> twins(directory, checkpoint::Component::kTextEncoder, [&] {
    return std::make_unique<Umt5Encoder>(read_config<Umt5Config>(directory));
  });
  for (const int64_t tokens : {1, 7, 300}) {
    twins.expect_equal([&](const Umt5Encoder& encoder, kernels::Context& context) {
      encoder.encode(std::vector<int32_t>(static_cast<size_t>(tokens), 3), context);
    });
  }
}

// Stands for a device whose activations have two bytes.
class HalfDevice final : public Device {
 public:
  const char* name() const override { return "half"; }
  DType activation_type() const override { return DType::kBF16; }
  std::byte* allocate(int64_t /*bytes*/) override { return nullptr; }
  void deallocate(std::byte* /*data*/, int64_t /*bytes*/) noexcept override {}
  int64_t allocated_bytes() const override { return 0; }
  int64_t peak_allocated_bytes() const override { return 0; }
  void reset_peak_allocated_bytes() override {}
  void upload(std::byte* /*to*/, const std::byte* /*from*/, int64_t /*bytes*/) override {}
  void download(std::byte* /*to*/, const std::byte* /*from*/, int64_t /*bytes*/) override {}
};

TEST(ActivationType, ModelsRunWithThatOfTheDevice) {
  const HalfDevice like;
  DryDevice half(like);
  kernels::Context context({}, half);
  const auto config = read_config<WanTransformerConfig>(component("t2v-a14b", "transformer"));
  const auto scheme = quantization::make_quantization_config({});
  WanTransformer model(config, *scheme);
  checkpoint::ParameterLoader loader;
  model.declare_parameters(loader);
  loader.load_dry(checkpoint::Checkpoint::open_directory(component("t2v-a14b", "transformer")),
                  context);
  const Shape shape{config.in_channels, 3, 8, 10};
  WanTransformerWorkspace workspace(model, shape, context);
  const int64_t tokens = 3 * 4 * 5, dim = config.dim();
  // The residual stream and the tables of the rotary embedding in F32, the rest in BF16.
  EXPECT_EQ(workspace.bytes(), tokens * (4 * (dim + config.head_dim) +
                                         2 * (4 * dim + config.ffn_dim + 4 * config.in_channels)));
  const Tensor text(DType::kF32, {9, config.text_dim}, half);
  const WanTextContext prompt = model.encode_text({.text = &text}, context);
  EXPECT_EQ(prompt.blocks[0].k.dtype(), DType::kBF16);
  const Tensor latents(DType::kF32, shape, half);
  WanTransformerInput input;
  input.latents = &latents;
  input.timesteps = {1};
  input.texts = {&prompt};
  EXPECT_EQ(model.forward(input, workspace, context)[0].dtype(), DType::kF32);
}

}  // namespace
}  // namespace mxvideo::models
