#include "bench/model/model_fit.h"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "bench/gemm_bench.h"
#include "bench/model/step_bench.h"
#include "bench/timing.h"
#include "device/dry_device.h"
#include "kernels/attention/attention.h"
#include "models/umt5/umt5_encoder.h"
#include "models/wan_transformer/wan_transformer.h"
#include "models/wan_vae/wan_vae.h"
#include "pipeline/solver/unipc_scheduler.h"
#include "quantization/quantization_config.h"
#include "synthetic/model_preset.h"

namespace mxvideo::bench {
namespace {

namespace fs = std::filesystem;
using models::WanTransformer;
using models::WanTransformerConfig;

struct Published {
  const char* model;
  const char* preset;
  int64_t width, height, frames;
};
constexpr std::array kPublished = {Published{"Wan2.2-TI2V-5B", "ti2v-5b", 1280, 704, 121},
                                   Published{"Wan2.2-T2V-A14B", "t2v-a14b", 832, 480, 81},
                                   Published{"Wan2.2-I2V-A14B", "i2v-a14b", 832, 480, 81}};

int64_t f32_bytes(const Shape& shape) { return shape.count() * dtype_size(DType::kF32); }

// A temporary safetensors file of BF16 zeros, which take no room on the disk.
class SparseFile {
 public:
  explicit SparseFile(const std::vector<checkpoint::ParameterSpec>& specs) {
    nlohmann::ordered_json header;
    int64_t end = 0;
    for (const checkpoint::ParameterSpec& spec : specs) {
      const int64_t begin = end;
      end += spec.shape.count() * dtype_size(DType::kBF16);
      header[spec.name] = {
          {"dtype", "BF16"},
          {"shape", std::vector<int64_t>(spec.shape.dims().begin(), spec.shape.dims().end())},
          {"data_offsets", {begin, end}}};
    }
    const std::string text = header.dump();
    std::array<char, 8> size{};
    for (size_t i = 0; i < size.size(); ++i) size[i] = static_cast<char>(text.size() >> (8 * i));
    std::ofstream file(path_, std::ios::binary);
    file.write(size.data(), size.size());
    file << text;
    if (!file.flush()) throw Error(Code::kIo, path_.string() + ": cannot write");
    fs::resize_file(path_, size.size() + text.size() + static_cast<uint64_t>(end));
  }
  ~SparseFile() {
    std::error_code error;
    fs::remove(path_, error);
  }
  SparseFile(const SparseFile&) = delete;
  SparseFile& operator=(const SparseFile&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_ =
      fs::temp_directory_path() / ("mxvideo-sizes-" + std::to_string(::getpid()) + ".safetensors");
};

// Loads `model` onto a device that computes nothing.
template <class Model>
checkpoint::LoadPlan load_dry(Model& model, kernels::Context& context) {
  checkpoint::ParameterLoader loader;
  model.declare_parameters(loader);
  const SparseFile file(loader.declared());
  return loader.load_dry(checkpoint::Checkpoint::open_file(file.path()), context);
}

// The largest of the phases that are shown to it.
struct Peak {
  int64_t bytes = 0;
  std::string phase;
  void consider(const char* name, int64_t candidate) {
    if (candidate <= bytes) return;
    bytes = candidate;
    phase = name;
  }
};

void consider_text(const synthetic::ModelPreset& preset, Peak& peak) {
  DryDevice device;
  kernels::Context context({}, device);
  models::Umt5Encoder encoder(models::Umt5Config::from_json(preset.text_encoder, "preset"));
  peak.consider("load text encoder", load_dry(encoder, context).peak);
  device.reset_peak_allocated_bytes();
  encoder.encode(std::vector<int32_t>(kMostTextTokens), context);
  peak.consider("encode prompt", device.peak_allocated_bytes());
}

void consider_transformer(WanTransformer& model, const Shape& latents, const Shape& input,
                          kernels::Context& context, Peak& peak) {
  Device& device = context.device();
  const checkpoint::LoadPlan load = load_dry(model, context);
  device.reset_peak_allocated_bytes();
  models::WanTransformerWorkspace workspace(model, input, context);
  std::vector<models::WanTextContext> texts;
  for (int i = 0; i < 2; ++i) {  // with guidance
    const Tensor text = context.tensor({kMostTextTokens, model.config().text_dim});
    texts.push_back(model.encode_text({.text = &text, .rows = kMostTextTokens}, context));
  }
  const Tensor noisy = context.tensor(input);
  model.forward(
      {.latents = &noisy, .timesteps = {0}, .token_timestep = {}, .texts = {&texts[0], &texts[1]}},
      workspace, context);
  const int64_t state = (1 + pipeline::UniPcScheduler::kStateTensors) * f32_bytes(latents);
  peak.consider("load transformer", load.peak + state);
  peak.consider("denoise", device.peak_allocated_bytes() + state);
}

void consider_vae(const models::WanVaeConfig& config, const Published& published,
                  const Shape& latents, Peak& peak) {
  constexpr int64_t kUntiledPixels = int64_t{1024} * 1024;  // as pipeline/stages/decode.cpp
  DryDevice device;
  kernels::Context context({}, device);
  models::WanVae vae(config, {.encoder = false, .decoder = true});
  load_dry(vae, context);
  device.reset_peak_allocated_bytes();
  models::WanVaeRun run{.context = &context};
  if (published.width * published.height > kUntiledPixels) run.tiling = models::WanVaeTiling();
  vae.decode(context.tensor(latents), run, [](const media::FramePart&) {});
  peak.consider("decode", device.peak_allocated_bytes());
}

double rate_of(const ProbedRates& rates, const std::string& scheme) {
  return !quantization::quantizes(scheme) ? rates.linear_none : rates.linear_mxfp8;
}

ModelFit fit(const Published& published, const std::string& scheme, const ProbedRates& rates) {
  const synthetic::ModelPreset preset = synthetic::model_preset(published.preset, "full");
  const auto config = WanTransformerConfig::from_json(preset.transformer, "preset");
  const auto vae = models::WanVaeConfig::from_json(preset.vae, "preset");
  const auto quantization =
      quantization::make_quantization_config({.scheme = scheme, .ignored_layers = {}, .mx = {}});
  DryDevice device;
  kernels::Context context({}, device);
  WanTransformer model(config, *quantization);
  const Shape latents{vae.z_dim, (published.frames - 1) / vae.scale_factor_temporal + 1,
                      published.height / vae.scale_factor_spatial,
                      published.width / vae.scale_factor_spatial};
  const Shape input{config.in_channels, latents[1], latents[2], latents[3]};
  Peak peak;
  consider_text(preset, peak);
  consider_transformer(model, latents, input, context, peak);
  consider_vae(vae, published, latents, peak);
  const int64_t tokens = model.token_count(input);
  const double attention = attention_flops(config, tokens, kMostTextTokens);
  const double linear = forward_flops(config, tokens, kMostTextTokens) - attention;
  constexpr double kPasses = 2;  // of guidance
  return {.model = published.model,
          .scheme = scheme,
          .width = published.width,
          .height = published.height,
          .frames = published.frames,
          .peak_bytes = peak.bytes,
          .phase = peak.phase,
          .seconds_per_step =
              kPasses * (linear / rate_of(rates, scheme) + attention / rates.attention)};
}

double attention_rate() {
  constexpr int64_t kLength = 1024, kHeads = 8, kHeadDim = 128;
  const std::vector<float> values = random_floats(kLength * kHeads * kHeadDim);
  std::vector<float> out(values.size());
  kernels::AttentionArgs args;
  args.q = args.k = args.v = values.data();
  args.out = out.data();
  args.q_length = args.kv_length = kLength;
  args.heads = kHeads;
  args.head_dim = kHeadDim;
  args.scale = 0.088388f;  // 1 / sqrt(head_dim)
  kernels::Context context;
  const double seconds =
      time_in_turns({[&] { kernels::attention(args, context); }}, {.repeats = 3, .seconds = 0.1})
          .front();
  return 4.0 * kLength * kLength * kHeads * kHeadDim / seconds;
}

}  // namespace

ProbedRates probe_rates() {
  constexpr int64_t kRows = 512, kSide = 1536;
  const auto rate = [&](const char* scheme) {
    return 2.0 * kRows * kSide * kSide / linear_seconds(scheme, kRows, kSide, kSide);
  };
  return {.linear_none = rate(quantization::kNoScheme),
          .linear_mxfp8 = rate(quantization::kSmallScheme),
          .attention = attention_rate()};
}

std::vector<ModelFit> fit_published_models(const ProbedRates& rates) {
  std::vector<ModelFit> fits;
  for (const Published& published : kPublished) {
    for (const char* scheme : {quantization::kNoScheme, quantization::kSmallScheme})
      fits.push_back(fit(published, scheme, rates));
  }
  return fits;
}

}  // namespace mxvideo::bench
