#include "models/wan_vae/wan_vae.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "kernels/layout/copy_nd.h"
#include "models/wan_vae/decoder.h"
#include "models/wan_vae/encoder.h"
#include "models/wan_vae/tiling.h"

namespace mxvideo::models {

using wan_vae::BlendGrid;
using wan_vae::Decoder;
using wan_vae::Encoder;
using wan_vae::Feature;
using wan_vae::Pass;
using wan_vae::Window;

struct WanVae::Halves {
  Encoder encoder;
  Decoder decoder;
};

namespace {

// Progress and cancellation of one call. A frame is done when all of its tiles are.
class Steps {
 public:
  Steps(const WanVaeRun& run, int64_t frames, int64_t tiles)
      : run_(&run), frames_(frames), tiles_(tiles) {}
  void start() const {
    if (run_->cancellation != nullptr) run_->cancellation->throw_if_cancelled();
  }
  // Of one tile; none for work that is little beside the tiles'.
  void finish(int64_t frames) {
    done_ += frames;
    if (run_->progress) run_->progress(done_ / tiles_, frames_);
  }

 private:
  const WanVaeRun* run_;
  int64_t frames_, tiles_;
  int64_t done_ = 0;
};

// x [rows, columns] to y [columns, rows]: [channels, count] <-> [count, channels].
void transpose(const Tensor& x, int64_t rows, Tensor& y, kernels::Context& context) {
  const int64_t columns = x.count() / rows;
  kernels::copy_nd({.x = x, .y = y, .axes = {{{columns, 1, rows}, {rows, columns, 1}}}}, context);
}

void check_tiling(const WanVaeTiling& tiling) {
  const bool blends = tiling.mode == WanVaeTiling::Mode::kBlend;
  const bool valid = tiling.tile_height > 0 && tiling.tile_width > 0 &&
                     (!blends || (tiling.stride_height > 0 && tiling.stride_width > 0 &&
                                  tiling.stride_height <= tiling.tile_height &&
                                  tiling.stride_width <= tiling.tile_width));
  if (!valid) {
    throw Error(Code::kInvalidArgument,
                "VAE tiling: tile " + std::to_string(tiling.tile_height) + "x" +
                    std::to_string(tiling.tile_width) + " with stride " +
                    std::to_string(tiling.stride_height) + "x" +
                    std::to_string(tiling.stride_width) +
                    ", expected positive sizes and no stride above its tile");
  }
}

// The grid in units of `divisor` pixels, nothing below one.
BlendGrid grid_in(const WanVaeTiling& tiling, int64_t divisor) {
  const auto scaled = [&](int64_t size) { return std::max<int64_t>(1, size / divisor); };
  return {.tile_height = scaled(tiling.tile_height),
          .tile_width = scaled(tiling.tile_width),
          .stride_height = scaled(tiling.stride_height),
          .stride_width = scaled(tiling.stride_width)};
}

// Windows of latent size that are processed one after another; one for the whole frame without
// tiling.
std::vector<Window> exact_tiles(const std::optional<WanVaeTiling>& tiling, int64_t height,
                                int64_t width, int64_t scale) {
  if (!tiling) return {Window::whole(height, width)};
  const BlendGrid grid = grid_in(*tiling, scale);
  return wan_vae::partition(height, width, grid.tile_height, grid.tile_width);
}

// How many of the chunks are run: all, but on a device that only counts those that differ in what
// they take. Histories are complete after the second chunk, and the third is the first to find them
// so.
int64_t chunks_to_run(int64_t chunks, const kernels::Context& context) {
  constexpr int64_t kDistinct = 4;
  return context.device().computes() ? chunks : std::min(chunks, kDistinct);
}
// For how many of `chunks` this one of those that are run stands: the last one for all that are
// not.
double chunk_repeats(int64_t chunk, int64_t run, int64_t chunks) {
  return chunk + 1 < run ? 1 : static_cast<double>(chunks - run + 1);
}

// Likewise of tiles: one of those with the same size and the same surroundings, of `halo` at most,
// and for how many it stands.
struct TileRun {
  Window window;
  double repeats = 1;
};
std::vector<TileRun> tiles_to_run(const std::vector<Window>& tiles, int64_t halo,
                                  const kernels::Context& context) {
  std::vector<TileRun> runs;
  std::map<std::array<int64_t, 6>, size_t> seen;
  for (const Window& tile : tiles) {
    const Window grown = tile.grown(halo);
    const auto [same, is_new] =
        seen.try_emplace({tile.height(), tile.width(), tile.top - grown.top, tile.left - grown.left,
                          grown.bottom - tile.bottom, grown.right - tile.right},
                         runs.size());
    if (is_new || context.device().computes()) {
      runs.push_back({.window = tile});
    } else {
      ++runs[same->second].repeats;
    }
  }
  return runs;
}

// One decode(), cut into the part that needs whole frames and the part that runs on tiles.
class DecodeCall {
 public:
  DecodeCall(const WanVaeConfig& config, const Decoder& decoder, const WanVaeRun& run)
      : config_(config), decoder_(decoder), run_(run) {}

  using Sink = FunctionRef<void(int64_t first_frame, const Feature& patches)>;

  // Latents [frames, h, w, z] -> patches of whole frames, chunk by chunk.
  void frames(const Feature& latents, bool observed, Steps& steps, const Sink& sink) const {
    Pass pass(run_, observed);
    run_chunks(latents.frames(), pass, steps, sink, [&](int64_t chunk) {
      return decoder_.up(
          decoder_.from_latent(take(latents, chunk, 1, latents.window, *run_.context), pass), pass);
    });
  }

  // Likewise, every tile of the frame (in latents) after the other. Tile by tile and not chunk by
  // chunk: what the convolutions remember of a tile from one chunk to the next is more than its
  // video. With the sizes of 2.2 at 1280x704 they remember two frames of 1024 channels at 44x80 in
  // seven places, of as many at 88x160 in seven, of 512 to 1024 at 176x320 in six and of 256 to 512
  // at 352x640 in seven: 5.9 GiB, where the video of 121 frames has 1.2 GiB and its samples 0.3.
  void tiles(const Feature& latents, const std::vector<Window>& tiles, Steps& steps,
             const Sink& sink) const {
    Feature features{
        run_.context->activations({latents.frames(), latents.window.height(),
                                   latents.window.width(), decoder_.feature_channels()}),
        latents.window};
    {
      Pass pass(run_);
      const int64_t chunks = chunks_to_run(latents.frames(), *run_.context);
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        const kernels::Repeats repeats(*run_.context,
                                       chunk_repeats(chunk, chunks, latents.frames()));
        steps.start();
        pass.start_chunk(chunk);
        put(decoder_.from_latent(take(latents, chunk, 1, latents.window, *run_.context), pass),
            chunk, features, *run_.context);
        steps.finish(0);
      }
    }
    for (const auto& [tile, times] : tiles_to_run(tiles, decoder_.halo(), *run_.context)) {
      const kernels::Repeats repeats(*run_.context, times);
      const Window input = tile.grown(decoder_.halo());
      const Window output = tile.scaled_up(patches_per_latent());
      Pass tile_pass(run_, /*observed=*/false);
      run_chunks(features.frames(), tile_pass, steps, sink, [&](int64_t chunk) {
        return crop(decoder_.up(take(features, chunk, 1, input, *run_.context), tile_pass), output,
                    *run_.context);
      });
    }
  }

  // One independent tile of Diffusers' tiling: unclamped patches.
  Tensor blend_tile(const Feature& latents, const Window& window, Steps& steps) const {
    Feature part = take(latents, 0, latents.frames(), window, *run_.context);
    part.window = Window::whole(window.height(), window.width());
    Feature patches;
    patches.window = part.window.scaled_up(patches_per_latent());
    patches.values = run_.context->activations(
        {config_.scale_factor_temporal * (part.frames() - 1) + 1, patches.window.height(),
         patches.window.width(), config_.out_channels});
    frames(part, false, steps,
           [&](int64_t first, const Feature& chunk) { put(chunk, first, patches, *run_.context); });
    return std::move(patches.values);
  }

  int64_t patches_per_latent() const { return config_.scale_factor_spatial / config_.patch_size; }

 private:
  // `decode`: chunk -> its patches.
  template <class Decode>
  void run_chunks(int64_t chunks, Pass& pass, Steps& steps, const Sink& sink,
                  const Decode& decode) const {
    int64_t frame = 0;
    const int64_t run = chunks_to_run(chunks, *run_.context);
    for (int64_t chunk = 0; chunk < run; ++chunk) {
      const kernels::Repeats repeats(*run_.context, chunk_repeats(chunk, run, chunks));
      steps.start();
      pass.start_chunk(chunk);
      const Feature patches = decode(chunk);
      sink(frame, patches);
      frame += patches.frames();
      steps.finish(patches.frames());
    }
  }

  const WanVaeConfig& config_;
  const Decoder& decoder_;
  const WanVaeRun& run_;
};

// One encode(), likewise.
class EncodeCall {
 public:
  EncodeCall(const WanVaeConfig& config, const Encoder& encoder, const WanVaeRun& run)
      : config_(config), encoder_(encoder), run_(run) {}

  int64_t patches_per_latent() const { return config_.scale_factor_spatial / config_.patch_size; }

  // Pixels of `tile` (in latents) with their surroundings inside `frame` (in patches) -> features
  // of latent size, written to `result`. `origin`: where `frame` lies in the video.
  void tile(const Tensor& video, const Window& frame, const Window& tile, bool observed,
            Steps& steps, Feature& result) const {
    const Window input = tile.scaled_up(patches_per_latent()).grown(encoder_.halo());
    Pass pass(run_, observed);
    const int64_t chunks = chunks_to_run(result.frames(), *run_.context);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const kernels::Repeats repeats(*run_.context, chunk_repeats(chunk, chunks, result.frames()));
      steps.start();
      pass.start_chunk(chunk);
      const int64_t count = chunk == 0 ? 1 : config_.scale_factor_temporal;
      const int64_t first = chunk == 0 ? 0 : 1 + config_.scale_factor_temporal * (chunk - 1);
      Window in_video = input;
      in_video.top += frame.top;
      in_video.bottom += frame.top;
      in_video.left += frame.left;
      in_video.right += frame.left;
      Feature patches =
          wan_vae::patchify(video, first, count, in_video, config_.patch_size, *run_.context);
      patches.window = input;
      put(crop(encoder_.down(patches, pass), tile, *run_.context), chunk, result, *run_.context);
      steps.finish(count);
    }
  }

  // Features of latent size -> mode [frames, h, w, z].
  Tensor latents(const Feature& features, bool observed, Steps& steps) const {
    Feature result{run_.context->activations({features.frames(), features.window.height(),
                                              features.window.width(), config_.z_dim}),
                   features.window};
    Pass pass(run_, observed);
    const int64_t chunks = chunks_to_run(features.frames(), *run_.context);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const kernels::Repeats repeats(*run_.context,
                                     chunk_repeats(chunk, chunks, features.frames()));
      steps.start();
      pass.start_chunk(chunk);
      const Tensor mode =
          encoder_.to_latent(take(features, chunk, 1, features.window, *run_.context), pass);
      wan_vae::copy(mode, result.values.from(chunk * result.frame_floats()), mode.count(),
                    *run_.context);
      steps.finish(0);
    }
    return std::move(result.values);
  }

  // All tiles of one frame (in patches), then what follows them.
  Tensor frame(const Tensor& video, const Window& frame, const std::vector<Window>& tiles,
               bool observed, Steps& steps) const {
    const Window latent =
        Window::whole(frame.height() / patches_per_latent(), frame.width() / patches_per_latent());
    const int64_t chunks = (video.dim(0) - 1) / config_.scale_factor_temporal + 1;
    Feature features{run_.context->activations(
                         {chunks, latent.height(), latent.width(), encoder_.latent_channels()}),
                     latent};
    const int64_t halo = ceil_div(encoder_.halo(), patches_per_latent());
    for (const auto& [window, times] : tiles_to_run(tiles, halo, *run_.context)) {
      const kernels::Repeats repeats(*run_.context, times);
      tile(video, frame, window, observed && tiles.size() == 1, steps, features);
    }
    return latents(features, observed, steps);
  }

 private:
  const WanVaeConfig& config_;
  const Encoder& encoder_;
  const WanVaeRun& run_;
};

void check_video(const WanVaeConfig& config, const Shape& shape) {
  check(shape.rank() == 4 && shape[3] == 3,
        "wan_vae: video is " + shape.to_string() + ", expected [frames, height, width, 3]");
  const int64_t scale = config.scale_factor_spatial;
  const int64_t step = config.scale_factor_temporal;
  if (shape[0] < 1 || (shape[0] - 1) % step != 0 || shape[1] < scale || shape[1] % scale != 0 ||
      shape[2] < scale || shape[2] % scale != 0) {
    throw Error(Code::kInvalidArgument, "VAE encoder: video is " + shape.to_string() +
                                            ", expected " + std::to_string(step) +
                                            "n+1 frames of a height and width that are multiples "
                                            "of " +
                                            std::to_string(scale));
  }
}

int64_t tile_count(int64_t height, int64_t width, const BlendGrid& grid) {
  return ceil_div(height, grid.stride_height) * ceil_div(width, grid.stride_width);
}

}  // namespace

WanVae::WanVae(const WanVaeConfig& config, WanVaeParts parts)
    : config_(config),
      parts_(parts),
      halves_(new Halves{.encoder = Encoder(config), .decoder = Decoder(config)}) {}

WanVae::~WanVae() = default;

const WanVaeConfig& WanVae::config() const { return config_; }

void WanVae::declare_parameters(checkpoint::ParameterLoader& loader) {
  wan_vae::ParameterSink encoder(loader, parts_.encoder);
  halves_->encoder.declare(encoder);
  wan_vae::ParameterSink decoder(loader, parts_.decoder);
  halves_->decoder.declare(decoder);
}

Tensor WanVae::encode(const Tensor& video, const WanVaeRun& run) const {
  check_video(config_, video.shape());
  check(parts_.encoder && run.context != nullptr, "wan_vae: encode() without encoder or context");
  const kernels::Layers layers(*run.context, "encoder");
  if (run.tiling) check_tiling(*run.tiling);
  const EncodeCall call(config_, halves_->encoder, run);
  const int64_t chunks = (video.dim(0) - 1) / config_.scale_factor_temporal + 1;
  const int64_t height = video.dim(1) / config_.scale_factor_spatial;
  const int64_t width = video.dim(2) / config_.scale_factor_spatial;
  const Window frame = Window::whole(height, width).scaled_up(call.patches_per_latent());

  Tensor mode;
  const bool blends =
      run.tiling && run.tiling->mode == WanVaeTiling::Mode::kBlend &&
      (video.dim(1) > run.tiling->tile_height || video.dim(2) > run.tiling->tile_width);
  if (blends) {
    // In patches, as Diffusers has it; whole latents.
    const BlendGrid target = grid_in(*run.tiling, call.patches_per_latent());
    const int64_t unit = call.patches_per_latent();
    const BlendGrid source{.tile_height = target.tile_height * unit,
                           .tile_width = target.tile_width * unit,
                           .stride_height = target.stride_height * unit,
                           .stride_width = target.stride_width * unit};
    Steps steps(run, video.dim(0), tile_count(frame.height(), frame.width(), source));
    const Window target_frame = Window::whole(height, width);
    const auto make = [&](const Window& window) {
      const Window whole = Window::whole(window.height() / unit, window.width() / unit);
      return call.frame(video, window, {whole}, false, steps);
    };
    mode = wan_vae::blend_tiles(frame, source, target, target_frame, make, *run.context);
  } else {
    const bool exact = run.tiling && run.tiling->mode == WanVaeTiling::Mode::kExact;
    const std::vector<Window> tiles =
        exact ? exact_tiles(run.tiling, height, width, config_.scale_factor_spatial)
              : std::vector{Window::whole(height, width)};
    Steps steps(run, video.dim(0), static_cast<int64_t>(tiles.size()));
    mode = call.frame(video, frame, tiles, true, steps);
  }
  Tensor latents = run.context->tensor({config_.z_dim, chunks, height, width});
  transpose(mode, chunks * height * width, latents, *run.context);
  return latents;
}

void WanVae::decode(const Tensor& latents, const WanVaeRun& run,
                    FunctionRef<void(const media::FramePart&)> sink) const {
  const Shape& shape = latents.shape();
  check(shape.rank() == 4 && shape[0] == config_.z_dim && latents.count() > 0,
        "wan_vae: latents are " + shape.to_string() + ", expected [" +
            std::to_string(config_.z_dim) + ", frames, height, width]");
  check(parts_.decoder && run.context != nullptr, "wan_vae: decode() without decoder or context");
  const kernels::Layers layers(*run.context, "decoder");
  if (run.tiling) check_tiling(*run.tiling);
  const DecodeCall call(config_, halves_->decoder, run);
  const int64_t frames = latents.dim(1);
  const int64_t scale = config_.scale_factor_spatial;
  const Window frame = Window::whole(latents.dim(2), latents.dim(3));
  Feature input{run.context->activations({frames, frame.height(), frame.width(), config_.z_dim}),
                frame};
  transpose(latents, config_.z_dim, input.values, *run.context);
  const Shape video = decoded_shape(config_, shape);
  const auto hand_out = [&](int64_t first, const Feature& patches) {
    const Tensor pixels = wan_vae::unpatchify_clamped(patches, config_.patch_size, *run.context);
    sink({.values = pixels,
          .video = video,
          .first_frame = first,
          .top = patches.window.top * config_.patch_size,
          .left = patches.window.left * config_.patch_size});
  };
  const bool exact = run.tiling && run.tiling->mode == WanVaeTiling::Mode::kExact;
  const BlendGrid source = run.tiling ? grid_in(*run.tiling, scale) : BlendGrid{};
  if (exact || !run.tiling ||
      (frame.height() <= source.tile_height && frame.width() <= source.tile_width)) {
    const std::vector<Window> tiles =
        exact ? exact_tiles(run.tiling, frame.height(), frame.width(), scale) : std::vector{frame};
    Steps steps(run, video[0], std::ssize(tiles));
    if (tiles.size() == 1) return call.frames(input, true, steps, hand_out);
    return call.tiles(input, tiles, steps, hand_out);
  }
  const int64_t unit = call.patches_per_latent();
  const BlendGrid target{.tile_height = source.tile_height * unit,
                         .tile_width = source.tile_width * unit,
                         .stride_height = source.stride_height * unit,
                         .stride_width = source.stride_width * unit};
  Steps steps(run, video[0], tile_count(frame.height(), frame.width(), source));
  const Window target_frame = frame.scaled_up(unit);
  const auto make = [&](const Window& tile) { return call.blend_tile(input, tile, steps); };
  hand_out(0, {wan_vae::blend_tiles(frame, source, target, target_frame, make, *run.context),
               target_frame});
}

Shape decoded_shape(const WanVaeConfig& config, const Shape& latents) {
  return {config.scale_factor_temporal * (latents[1] - 1) + 1,
          latents[2] * config.scale_factor_spatial, latents[3] * config.scale_factor_spatial, 3};
}

int64_t WanVae::weight_bytes() const { return halves_->encoder.bytes() + halves_->decoder.bytes(); }

}  // namespace mxvideo::models
