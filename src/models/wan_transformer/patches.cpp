#include "models/wan_transformer/patches.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"

namespace mxvideo::models {
namespace {

// Calls action(token, t, h, w) for every patch, in parallel.
template <class Action>
void for_each_token(const PatchGrid& grid, const Action& action) {
  parallel_for(grid.tokens(), 64, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) {
      action(token, token / (grid.h * grid.w), token / grid.w % grid.h, token % grid.w);
    }
  });
}

void check_divides(int64_t size, int64_t patch, const char* axis) {
  if (size > 0 && size % patch == 0) return;
  throw Error(Code::kInvalidArgument, std::string("latent ") + axis + " " + std::to_string(size) +
                                          " is no positive multiple of the patch size " +
                                          std::to_string(patch));
}

}  // namespace

PatchGrid patch_grid(const WanTransformerConfig& config, const Shape& latents) {
  check(latents.rank() == 4, "latents are [channels, frames, height, width]");
  const auto [pt, ph, pw] = config.patch_size;
  check_divides(latents[1], pt, "frames");
  check_divides(latents[2], ph, "height");
  check_divides(latents[3], pw, "width");
  const PatchGrid grid{.t = latents[1] / pt, .h = latents[2] / ph, .w = latents[3] / pw};
  if (std::max({grid.t, grid.h, grid.w}) > config.rope_max_seq_len) {
    throw Error(Code::kInvalidArgument, "latent " + latents.to_string() +
                                            " has more patches along one axis than "
                                            "rope_max_seq_len " +
                                            std::to_string(config.rope_max_seq_len));
  }
  return grid;
}

void patchify(const WanTransformerConfig& config, const Tensor& latents, float* rows) {
  const PatchGrid grid = patch_grid(config, latents.shape());
  const int64_t pt = config.patch_size[0], ph = config.patch_size[1], pw = config.patch_size[2];
  const int64_t channels = latents.dim(0), frames = latents.dim(1);
  const int64_t height = latents.dim(2), width = latents.dim(3);
  const float* source = latents.f32();
  for_each_token(grid, [&](int64_t token, int64_t t, int64_t h, int64_t w) {
    float* row = rows + token * channels * pt * ph * pw;
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t i = 0; i < pt * ph * pw; ++i) {
        const int64_t frame = t * pt + i / (ph * pw);
        const int64_t y = h * ph + i / pw % ph;
        *row++ = source[((c * frames + frame) * height + y) * width + w * pw + i % pw];
      }
    }
  });
}

Tensor unpatchify(const WanTransformerConfig& config, const float* rows, const PatchGrid& grid) {
  const int64_t pt = config.patch_size[0], ph = config.patch_size[1], pw = config.patch_size[2];
  const int64_t channels = config.out_channels;
  const int64_t frames = grid.t * pt, height = grid.h * ph, width = grid.w * pw;
  Tensor latents(DType::kF32, {channels, frames, height, width});
  float* destination = latents.f32();
  for_each_token(grid, [&](int64_t token, int64_t t, int64_t h, int64_t w) {
    const float* row = rows + token * pt * ph * pw * channels;
    for (int64_t i = 0; i < pt * ph * pw; ++i) {
      const int64_t frame = t * pt + i / (ph * pw);
      const int64_t y = h * ph + i / pw % ph;
      for (int64_t c = 0; c < channels; ++c) {
        destination[((c * frames + frame) * height + y) * width + w * pw + i % pw] = *row++;
      }
    }
  });
  return latents;
}

RopeTables rope_tables(const WanTransformerConfig& config, const PatchGrid& grid) {
  constexpr double kTheta = 10000.0;
  const int64_t pairs = config.head_dim / 2;
  const int64_t space_pairs = config.head_dim / 6;
  const int64_t time_pairs = pairs - 2 * space_pairs;
  RopeTables tables{.cos = Tensor(DType::kF32, {grid.tokens(), pairs}),
                    .sin = Tensor(DType::kF32, {grid.tokens(), pairs})};
  // An angle belongs to a position along one axis: far fewer of them than tokens.
  struct Axis {
    int64_t pairs;
    std::vector<float> cos, sin;  // [positions, pairs]
  };
  const auto make_axis = [](int64_t positions, int64_t count) {
    Axis axis{.pairs = count, .cos = {}, .sin = {}};
    for (int64_t position = 0; position < positions; ++position) {
      for (int64_t j = 0; j < count; ++j) {
        const double frequency =
            1.0 / std::pow(kTheta, static_cast<double>(j) / static_cast<double>(count));
        const double angle = static_cast<double>(position) * frequency;
        axis.cos.push_back(static_cast<float>(std::cos(angle)));
        axis.sin.push_back(static_cast<float>(std::sin(angle)));
      }
    }
    return axis;
  };
  const Axis time = make_axis(grid.t, time_pairs);
  const Axis rows = make_axis(grid.h, space_pairs), columns = make_axis(grid.w, space_pairs);
  for_each_token(grid, [&](int64_t token, int64_t t, int64_t h, int64_t w) {
    float* cosine = tables.cos.f32() + token * pairs;
    float* sine = tables.sin.f32() + token * pairs;
    for (const auto& [axis, position] : {std::pair(&time, t), {&rows, h}, {&columns, w}}) {
      cosine = std::copy_n(axis->cos.data() + position * axis->pairs, axis->pairs, cosine);
      sine = std::copy_n(axis->sin.data() + position * axis->pairs, axis->pairs, sine);
    }
  });
  return tables;
}

}  // namespace mxvideo::models
