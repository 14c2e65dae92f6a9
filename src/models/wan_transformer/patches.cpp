#include "models/wan_transformer/patches.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "kernels/layout/copy_nd.h"

namespace mxvideo::models {
namespace {

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

void patchify(const WanTransformerConfig& config, const Tensor& latents, Tensor& rows,
              kernels::Context& context) {
  const PatchGrid grid = patch_grid(config, latents.shape());
  const auto [pt, ph, pw] = config.patch_size;
  const int64_t channels = latents.dim(0), volume = pt * ph * pw, width = channels * volume;
  const int64_t line = grid.w * pw, plane = grid.h * ph * line;
  kernels::copy_nd({.x = latents,
                    .y = rows,
                    .axes = {{{grid.t, pt * plane, grid.h * grid.w * width},
                              {grid.h, ph * line, grid.w * width},
                              {grid.w, pw, width},
                              {channels, grid.t * pt * plane, volume},
                              {pt, plane, ph * pw},
                              {ph, line, pw},
                              {pw, 1, 1}}}},
                   context);
}

Tensor unpatchify(const WanTransformerConfig& config, const Tensor& rows, const PatchGrid& grid,
                  kernels::Context& context) {
  const auto [pt, ph, pw] = config.patch_size;
  const int64_t channels = config.out_channels, width = pt * ph * pw * channels;
  const int64_t line = grid.w * pw, plane = grid.h * ph * line;
  Tensor latents = context.tensor({channels, grid.t * pt, grid.h * ph, line});
  kernels::copy_nd({.x = rows,
                    .y = latents,
                    .axes = {{{grid.t, grid.h * grid.w * width, pt * plane},
                              {grid.h, grid.w * width, ph * line},
                              {grid.w, width, pw},
                              {channels, 1, grid.t * pt * plane},
                              {pt, ph * pw * channels, plane},
                              {ph, pw * channels, line},
                              {pw, channels, 1}}}},
                   context);
  return latents;
}

}  // namespace mxvideo::models
