// Seconds and peak memory of one decode and one encode of a VAE directory, of any size:
//   mxvideo_bench_wan_vae VAE_DIR HEIGHT WIDTH FRAMES [TILE]
// with sizes in pixels; TILE cuts exact tiles. Latents are random.
#include "models/wan_vae/wan_vae.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "base/memory_usage.h"
#include "base/parallel.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/json.h"

namespace mxvideo::models {
namespace {

template <class Action>
auto timed(const char* what, const Action& action) {
  reset_peak_resident_bytes();
  const auto start = std::chrono::steady_clock::now();
  auto result = action();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%-7s %8.2f s   peak %5.2f GB\n", what, seconds.count(),
              static_cast<double>(peak_resident_bytes()) / 1e9);
  return result;
}

int run(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: mxvideo_bench_wan_vae VAE_DIR HEIGHT WIDTH FRAMES [TILE]\n");
    return 2;
  }
  const std::string directory = argv[1];
  const std::string config_path = directory + "/config.json";
  WanVae vae(WanVaeConfig::from_json(checkpoint::read_json_file(config_path), config_path));
  timed("load", [&] {
    checkpoint::ParameterLoader loader;
    vae.declare_parameters(loader);
    return loader.load(checkpoint::Checkpoint::open_directory(directory));
  });
  const WanVaeConfig& config = vae.config();
  Tensor latents(DType::kF32, {config.z_dim, (std::atoll(argv[4]) - 1) / 4 + 1,
                               std::atoll(argv[2]) / config.scale_factor_spatial,
                               std::atoll(argv[3]) / config.scale_factor_spatial});
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < latents.count(); ++i) latents.f32()[i] = normal(generator);

  kernels::Context context;
  WanVaeRun request{.context = &context};
  if (argc > 5) {
    request.tiling =
        WanVaeTiling{.tile_height = std::atoll(argv[5]), .tile_width = std::atoll(argv[5])};
  }
  std::printf("%d threads, video %s\n", num_threads(), latents.shape().to_string().c_str());
  const Tensor video = timed("decode", [&] { return vae.decode(latents, request); });
  timed("encode", [&] { return vae.encode(video, request); });
  return 0;
}

}  // namespace
}  // namespace mxvideo::models

int main(int argc, char** argv) {
  try {
    return mxvideo::models::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
