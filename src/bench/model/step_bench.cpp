#include "bench/model/step_bench.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string_view>

#include "base/file/atomic_file.h"
#include "base/parallel.h"
#include "base/system/memory_usage.h"
#include "base/text/field.h"
#include "bench/kernel_clock.h"
#include "bench/model/loaded_transformer.h"
#include "checkpoint/safetensors_writer.h"

namespace mxvideo::bench {
namespace {

namespace fs = std::filesystem;
using models::WanTransformer;
using models::WanTransformerConfig;

constexpr float kTimestep = 999.0f;

Tensor random_tensor(const Shape& shape, uint32_t seed) {
  return Tensor::from_values(shape, random_floats(shape.count(), seed));
}

struct Inputs {
  Tensor latents, text;

  Inputs(const WanTransformerConfig& config, const StepBench& request) {
    const auto [frames, height, width] = token_grid(request.tokens);
    latents = random_tensor({config.in_channels, frames * config.patch_size[0],
                             height * config.patch_size[1], width * config.patch_size[2]},
                            1);
    text = random_tensor({request.text_tokens, config.text_dim}, 2);
  }
};

// A model under one scheme, and what its forwards left.
class SchemeRun {
 public:
  SchemeRun(const ModelDirectory& directory, const std::string& scheme, const Inputs& inputs,
            const kernels::Context& context, const CancellationToken* cancellation)
      : transformer_(load_transformer(directory, scheme)),
        inputs_(inputs),
        cancellation_(cancellation),
        context_(context),
        workspace_(*transformer_.model, inputs.latents.shape(), context_),
        prompt_(transformer_.model->encode_text({.text = &inputs.text, .rows = kMostTextTokens},
                                                context_)) {
    context_.on_choice = [this](const char* op) { clock_.enter(class_of_op(op)); };
  }

  void forward() {
    clock_.start();
    outputs_ = transformer_.model->forward({.latents = &inputs_.latents,
                                            .timesteps = {kTimestep},
                                            .token_timestep = {},
                                            .texts = {&prompt_},
                                            .cancellation = cancellation_,
                                            .probe = nullptr},
                                           workspace_, context_);
    clock_.stop();
  }

  const WanTransformer& model() const { return *transformer_.model; }
  const Tensor& output() const { return outputs_.front(); }
  const KernelClock& clock() const { return clock_; }
  const kernels::Context& context() const { return context_; }

 private:
  LoadedTransformer transformer_;
  const Inputs& inputs_;
  const CancellationToken* cancellation_;
  kernels::Context context_;
  models::WanTransformerWorkspace workspace_;
  models::WanTextContext prompt_;  // computed once for a prompt, outside of what is timed
  KernelClock clock_;
  std::vector<Tensor> outputs_;
};

void check_finite(const SchemeRun& run, const std::string& scheme) {
  const auto finite = [](float value) { return std::isfinite(value); };
  if (std::ranges::all_of(run.output().values(), finite)) return;
  throw Error(Code::kNumerics, "the output under scheme " + scheme + " is not finite");
}

void fill(StepRow& row, const SchemeRun& run) {
  row.weight_bytes = run.model().weight_bytes();
  row.share = run.clock().shares();
  for (const auto& [choice, calls] : run.context().choices()) {
    std::string& rows = row.kernels[choice.first];
    rows += (rows.empty() ? "" : ",") + choice.second;
  }
}

void write_for_peers(const StepBench& request, const Inputs& inputs,
                     const std::vector<StepRow>& rows,
                     const std::vector<std::unique_ptr<SchemeRun>>& runs) {
  if (request.location.keep.empty()) return;
  const fs::path& directory = request.location.keep;
  const Tensor timestep = Tensor::from_values({1}, std::array{kTimestep});
  const std::array given = {
      checkpoint::NamedTensor{.name = "latents", .view = inputs.latents.view()},
      checkpoint::NamedTensor{.name = "text", .view = inputs.text.view()},
      checkpoint::NamedTensor{.name = "timestep", .view = timestep.view()}};
  checkpoint::write_safetensors(directory / "inputs.safetensors", given);
  Json json = Json::array();
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::array result = {
        checkpoint::NamedTensor{.name = "velocity", .view = runs[i]->output().view()}};
    checkpoint::write_safetensors(directory / ("output-" + rows[i].scheme + ".safetensors"),
                                  result);
    json.push_back(step_row_json(rows[i]));
  }
  write_file_atomically(directory / "step.json", Json({{"rows", json}}).dump(2) + "\n");
}

}  // namespace

std::array<int64_t, 3> token_grid(int64_t tokens) {
  constexpr int64_t kMostPerSide = 1024;  // rope_max_seq_len
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{15, 26}, {22, 40}}) {
    const int64_t frames = tokens / (height * width);
    if (frames >= 1 && frames <= kMostPerSide && tokens % (height * width) == 0) {
      return {frames, height, width};
    }
  }
  auto height = static_cast<int64_t>(std::sqrt(static_cast<double>(std::max<int64_t>(tokens, 1))));
  while (height > 1 && tokens % height != 0) --height;
  if (tokens < 1 || tokens / height > kMostPerSide) {
    throw Error(Code::kInvalidArgument,
                field("tokens") +
                    ": expected a product of two numbers from 1 to 1024, or a multiple of 390 "
                    "or 880 up to 1024 of these, got " +
                    std::to_string(tokens));
  }
  return {1, height, tokens / height};
}

double attention_flops(const WanTransformerConfig& config, int64_t tokens, int64_t text_rows) {
  const auto t = static_cast<double>(tokens), r = static_cast<double>(text_rows);
  const auto layers = static_cast<double>(config.num_layers);
  return 2 * layers * (2 * t * t + 2 * t * r) * static_cast<double>(config.dim());
}

double forward_flops(const WanTransformerConfig& config, int64_t tokens, int64_t text_rows) {
  const auto d = static_cast<double>(config.dim()), f = static_cast<double>(config.ffn_dim);
  const auto q = static_cast<double>(config.freq_dim);
  const auto t = static_cast<double>(tokens);
  const auto channels = static_cast<double>(config.in_channels + config.out_channels);
  const double patch =
      static_cast<double>(config.patch_size[0] * config.patch_size[1] * config.patch_size[2]);
  const double linears = t * (6 * d * d + 2 * d * f);
  const double embeddings = (q * d + 7 * d * d) + t * d * channels * patch;
  return 2 * (static_cast<double>(config.num_layers) * linears + embeddings) +
         attention_flops(config, tokens, text_rows);
}

Json step_row_json(const StepRow& row) {
  Json json = {{"op", "step"},
               {"scheme", row.scheme},
               {"compute", kernels::compute_name(row.policy.compute)},
               {"attention", kernels::attention_products_name(row.policy.attention)},
               {"layers", row.layers},
               {"tokens", row.tokens},
               {"text_rows", row.text_rows},
               {"threads", row.threads},
               {"seconds_median", figure(row.seconds)},
               {"gflops", figure(row.seconds > 0 ? row.flops / row.seconds * 1e-9 : 0)},
               {"ratio_none", figure(row.seconds > 0 ? row.seconds_none / row.seconds : 0)},
               {"peak_rss_bytes", byte_figure(row.peak_rss_bytes)},
               {"weight_bytes", byte_figure(row.weight_bytes)}};
  for (const char* name : kKernelClasses) {
    const auto found = row.share.find(name);
    json[std::string("share_") + name] =
        found == row.share.end() ? Json(nullptr) : Json(found->second);
  }
  json["kernels"] = row.kernels;
  add_state(json, {});
  return json;
}

std::vector<StepRow> bench_step(const StepBench& request, const BenchOptions& options) {
  options.say("step: preparing " + std::to_string(request.layers) + " layers of TI2V-5B width");
  token_grid(request.tokens);  // refuses a bad number at once
  const ModelDirectory directory = ModelDirectory::transformer(request.location, request.layers);
  const auto config = WanTransformerConfig::from_json(directory.config(), "config.json");
  const Inputs inputs(config, request);
  const int64_t text_rows = std::min(request.text_tokens + 1, kMostTextTokens);
  std::vector<std::unique_ptr<SchemeRun>> runs;
  std::vector<std::function<void()>> actions;
  for (const std::string& scheme : request.schemes) {
    options.say("step: loading with scheme " + scheme);
    runs.push_back(std::make_unique<SchemeRun>(
        directory, scheme, inputs, kernels::Context(request.policy), options.cancellation));
    actions.push_back([run = runs.back().get()] { run->forward(); });
  }
  trim_heap();
  reset_peak_resident_bytes();
  options.say("step: forward of " + std::to_string(request.tokens) + " tokens");
  const std::vector<double> seconds = time_in_turns(actions, options.timing());
  const int64_t peak = peak_resident_bytes();
  const auto none =
      std::ranges::find(request.schemes, quantization::kNoScheme) - request.schemes.begin();
  std::vector<StepRow> rows;
  for (size_t i = 0; i < runs.size(); ++i) {
    check_finite(*runs[i], request.schemes[i]);
    rows.push_back({.scheme = request.schemes[i],
                    .policy = request.policy,
                    .layers = config.num_layers,
                    .tokens = request.tokens,
                    .text_rows = text_rows,
                    .threads = num_threads(),
                    .flops = forward_flops(config, request.tokens, text_rows),
                    .seconds = seconds[i],
                    .peak_rss_bytes = runs.size() == 1 ? peak : 0,
                    .share = {},
                    .kernels = {}});
    if (static_cast<size_t>(none) < seconds.size()) {
      rows.back().seconds_none = seconds[static_cast<size_t>(none)];
    }
    fill(rows.back(), *runs[i]);
  }
  write_for_peers(request, inputs, rows, runs);
  return rows;
}

}  // namespace mxvideo::bench
