#include "bench/model/vae_bench.h"

#include "base/error.h"
#include "base/parallel.h"
#include "base/system/memory_usage.h"
#include "base/text/field.h"
#include "checkpoint/checkpoint.h"
#include "models/wan_vae/wan_vae.h"

namespace mxvideo::bench {
namespace {

using models::WanVae;
using models::WanVaeConfig;

Shape latent_shape(const VaeBench& request, const WanVaeConfig& config) {
  const int64_t factor = config.scale_factor_spatial;
  const bool good = request.frames >= 1 &&
                    (request.frames - 1) % config.scale_factor_temporal == 0 &&
                    request.height >= factor && request.height % factor == 0 &&
                    request.width >= factor && request.width % factor == 0;
  if (!good) {
    throw Error(Code::kInvalidArgument,
                field("num_frames") + ", " + field("width") + ", " + field("height") +
                    ": expected 4n+1 frames and multiples of " + std::to_string(factor) + ", got " +
                    std::to_string(request.frames) + ", " + std::to_string(request.width) + "x" +
                    std::to_string(request.height));
  }
  return {config.z_dim, (request.frames - 1) / config.scale_factor_temporal + 1,
          request.height / factor, request.width / factor};
}

}  // namespace

Json bench_vae(const VaeBench& request, const BenchOptions& options) {
  options.say("vae: preparing the weights");
  const ModelDirectory directory = ModelDirectory::vae(request.location);
  const auto config =
      WanVaeConfig::from_json(directory.config(), (directory.path() / "config.json").string());
  const Shape shape = latent_shape(request, config);
  WanVae vae(config, {.encoder = false, .decoder = true});
  checkpoint::ParameterLoader loader;
  vae.declare_parameters(loader);
  loader.load(checkpoint::Checkpoint::open_directory(directory.path()));
  const Tensor latents = Tensor::from_values(shape, random_floats(shape.count()));
  kernels::Context context;
  trim_heap();
  reset_peak_resident_bytes();
  options.say("vae: decoding " + std::to_string(request.frames) + " frames");
  const auto decode = [&] {
    vae.decode(latents, {.context = &context, .cancellation = options.cancellation},
               [](const media::FramePart&) {});
  };
  const double seconds = time_in_turns({decode}, options.timing())[0];
  Json json = {{"op", "vae"},
               {"layer", "decode"},
               {"frames", request.frames},
               {"height", request.height},
               {"width", request.width},
               {"threads", num_threads()},
               {"seconds_median", figure(seconds)},
               {"gflops", nullptr},
               {"peak_rss_bytes", byte_figure(peak_resident_bytes())}};
  add_state(json, {});
  return json;
}

}  // namespace mxvideo::bench
