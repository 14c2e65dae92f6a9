#include "bench/model/text_bench.h"

#include "base/parallel.h"
#include "base/system/memory_usage.h"
#include "checkpoint/checkpoint.h"
#include "models/umt5/umt5_encoder.h"

namespace mxvideo::bench {
namespace {

using models::Umt5Config;
using models::Umt5Encoder;

Umt5Encoder load_encoder(const ModelDirectory& directory, const std::string& scheme) {
  const auto config =
      Umt5Config::from_json(directory.config(), (directory.path() / "config.json").string());
  const auto quantization =
      quantization::make_quantization_config({.scheme = scheme, .ignored_layers = {}, .mx = {}});
  Umt5Encoder encoder(config, *quantization);
  checkpoint::ParameterLoader loader;
  encoder.declare_parameters(loader);
  auto files = checkpoint::Checkpoint::open_directory(directory.path());
  models::use_shared_embedding_name(files);
  loader.load(files);
  return encoder;
}

int64_t linear_bytes(const Umt5Encoder& encoder) {
  int64_t bytes = 0;
  for (const auto* linear : encoder.linears()) bytes += linear->weight_bytes();
  return bytes;
}

// Of the linear layers.
double flops_of(const Umt5Config& c, int64_t tokens) {
  const int64_t parameters = 4 * c.d_model * c.num_heads * c.d_kv + 3 * c.d_model * c.d_ff;
  return 2.0 * static_cast<double>(c.num_layers * parameters) * static_cast<double>(tokens);
}

}  // namespace

Json bench_text(const TextBench& request, const BenchOptions& options) {
  options.say("text: preparing the weights");
  const ModelDirectory directory = ModelDirectory::text_encoder(request.location, request.layers);
  options.say("text: loading with scheme " + request.scheme);
  const Umt5Encoder encoder = load_encoder(directory, request.scheme);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < request.tokens; ++i) {
    ids.push_back(static_cast<int32_t>(i * 7 % encoder.config().vocab_size));
  }
  kernels::Context context;
  const double read = roofs().read_bytes_per_second;
  trim_heap();
  reset_peak_resident_bytes();
  options.say("text: encoding " + std::to_string(request.tokens) + " tokens");
  const auto encode = [&] {
    encoder.encode(ids, {.context = &context, .cancellation = options.cancellation});
  };
  const double seconds = time_in_turns({encode}, options.timing())[0];
  const int64_t bytes = linear_bytes(encoder);
  Json json = {
      {"op", "text"},
      {"scheme", request.scheme},
      {"layers", encoder.config().num_layers},
      {"tokens", request.tokens},
      {"threads", num_threads()},
      {"seconds_median", figure(seconds)},
      {"gflops", figure(flops_of(encoder.config(), request.tokens) / seconds * 1e-9)},
      {"bytes_read", bytes},
      {"roof", "read"},
      {"roof_fraction", figure(read > 0 ? static_cast<double>(bytes) / seconds / read : 0)},
      {"peak_rss_bytes", byte_figure(peak_resident_bytes())},
      {"weight_bytes", byte_figure(encoder.weight_bytes())}};
  add_state(json, {});
  return json;
}

}  // namespace mxvideo::bench
