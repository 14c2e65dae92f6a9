// Latents <-> patch rows, and the rotary tables: the geometry of the Wan transformer. Tokens run
// over patches in t, h, w order.
#pragma once

#include "models/wan_transformer/wan_transformer.h"

namespace mxvideo::models {

// Throws Code::kInvalidArgument when `latents` [channels, frames, height, width] does not divide.
PatchGrid patch_grid(const WanTransformerConfig& config, const Shape& latents);

// rows [tokens, channels·pt·ph·pw], features in the order c, pt, ph, pw (the patch convolution's).
void patchify(const WanTransformerConfig& config, const Tensor& latents, float* rows);

// rows [tokens, pt·ph·pw·out_channels], features in the order pt, ph, pw, c (the head's), to
// latents [out_channels, frames, height, width].
Tensor unpatchify(const WanTransformerConfig& config, const float* rows, const PatchGrid& grid);

// 3-D rotary embedding: of the head_dim/2 pairs, head_dim/6 (rounded down) go to h and to w each,
// the rest to t; theta 10000, angles in double. Source: diffusers WanRotaryPosEmbed.
RopeTables rope_tables(const WanTransformerConfig& config, const PatchGrid& grid);

}  // namespace mxvideo::models
