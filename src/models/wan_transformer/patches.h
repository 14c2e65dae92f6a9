// Latents <-> patch rows: the geometry of the Wan transformer. Tokens run over patches in t, h, w
// order.
#pragma once

#include "models/wan_transformer/wan_transformer.h"

namespace mxvideo::models {

// Throws Code::kInvalidArgument when `latents` [channels, frames, height, width] does not divide.
PatchGrid patch_grid(const WanTransformerConfig& config, const Shape& latents);

// To rows [tokens, channels·pt·ph·pw], features in the order c, pt, ph, pw (the patch
// convolution's).
void patchify(const WanTransformerConfig& config, const Tensor& latents, Tensor& rows,
              kernels::Context& context);

// rows [tokens, pt·ph·pw·out_channels], features in the order pt, ph, pw, c (the head's), to
// latents [out_channels, frames, height, width].
Tensor unpatchify(const WanTransformerConfig& config, const Tensor& rows, const PatchGrid& grid,
                  kernels::Context& context);

}  // namespace mxvideo::models
