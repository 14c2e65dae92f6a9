#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "models/wan_vae/wan_vae_test_support.h"
#include "support/test_support.h"

namespace mxvideo::models {
namespace {

TEST(WanVaeTiling, ExactTilesDecodeToTheUntiledVideo) {
  for (const std::string form : {"2.1", "2.2"}) {
    const test::GoldenFile file("vae/" + form + "_decode_tiled.safetensors");
    kernels::Context context;
    const Tensor latents = latents_of(file, "input");
    const Tensor expected = decode(shared_vae(form), latents, {.context = &context});
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{16, 16}, {24, 1000}, {1, 40}}) {
      const WanVaeTiling tiling{.tile_height = height, .tile_width = width};
      const Tensor actual =
          decode(shared_vae(form), latents, {.context = &context, .tiling = tiling});
      ASSERT_EQ(actual.shape(), expected.shape());
      EXPECT_LE(test::relative_rms(actual.values(), expected.values()), 1e-6)
          << form << " with tiles of " << height << "x" << width;
    }
  }
}

TEST(WanVaeTiling, ExactTilesEncodeToTheUntiledLatents) {
  for (const std::string form : {"2.1", "2.2"}) {
    const test::GoldenFile file("vae/" + form + "_encode_tiled.safetensors");
    kernels::Context context;
    const Tensor video = to_tensor(channels_last(file, "input"));
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{16, 16}, {24, 1000}, {1, 40}}) {
      const WanVaeTiling tiling{.tile_height = height, .tile_width = width};
      const Tensor actual = shared_vae(form).encode(video, {.context = &context, .tiling = tiling});
      SCOPED_TRACE(form + " with tiles of " + std::to_string(height) + "x" + std::to_string(width));
      expect_latents_near(file, "untiled", actual);
    }
  }
}

// The "exact" of the two tests above must not come from windows that cover the whole frame: here
// the frame is much larger than a tile with its surroundings.
TEST(WanVaeTiling, ExactTilesOfALargeFrameReadOnlyTheirSurroundings) {
  const std::string form = "2.1";
  kernels::Context context;
  Tensor latents(DType::kF32, {16, 2, 6, 40});
  for (int64_t i = 0; i < latents.count(); ++i) {
    latents.f32()[i] = static_cast<float>((i * 7919) % 2003) / 1000.0f - 1.0f;
  }
  const WanVae& vae = shared_vae(form);
  const Tensor whole = decode(vae, latents, {.context = &context});
  const WanVaeTiling tiling{.tile_height = 8, .tile_width = 64};
  const Tensor tiled = decode(vae, latents, {.context = &context, .tiling = tiling});
  EXPECT_LE(test::relative_rms(tiled.values(), whole.values()), 1e-6);

  const WanVaeTiling narrow{.tile_height = 64, .tile_width = 64};
  const Tensor latents_again = vae.encode(whole, {.context = &context, .tiling = narrow});
  const Tensor latents_whole = vae.encode(whole, {.context = &context});
  EXPECT_LE(test::relative_rms(latents_again.values(), latents_whole.values()), 1e-6);
}

TEST(WanVaeTiling, BlendedTilesMatchTheReference) {
  for (const std::string form : {"2.1", "2.2"}) {
    const int64_t stride = form == "2.1" ? 24 : 16;
    const WanVaeTiling tiling{.mode = WanVaeTiling::Mode::kBlend,
                              .tile_height = 32,
                              .tile_width = 32,
                              .stride_height = stride,
                              .stride_width = stride};
    kernels::Context context;
    const WanVaeRun run{.context = &context, .tiling = tiling};
    const test::GoldenFile decoded("vae/" + form + "_decode_tiled.safetensors");
    const Tensor video = decode(shared_vae(form), latents_of(decoded, "input"), run);
    expect_near(form + " decode", video, channels_last(decoded, "output"));

    const test::GoldenFile encoded("vae/" + form + "_encode_tiled.safetensors");
    const Tensor latents = shared_vae(form).encode(to_tensor(channels_last(encoded, "input")), run);
    expect_latents_near(encoded, "output", latents);
  }
}

TEST(WanVaeTiling, RefusesSizesThatCannotTile) {
  kernels::Context context;
  const Tensor latents = Tensor::zeros({16, 1, 4, 4});
  const WanVaeTiling cases[] = {
      {.tile_height = 0},
      {.tile_width = -8},
      {.mode = WanVaeTiling::Mode::kBlend, .tile_height = 16, .stride_height = 24},
      {.mode = WanVaeTiling::Mode::kBlend, .stride_width = 0},
  };
  for (const WanVaeTiling& tiling : cases) {
    const WanVaeRun run{.context = &context, .tiling = tiling};
    const Error error = test::expect_error([&] { decode(shared_vae("2.1"), latents, run); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << error.what();
  }
}

}  // namespace
}  // namespace mxvideo::models
