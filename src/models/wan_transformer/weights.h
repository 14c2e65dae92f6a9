// Parameters of the Wan transformer; field names are the checkpoint's (Diffusers).
#pragma once

#include <memory>
#include <vector>

#include "models/wan_transformer/wan_transformer.h"

namespace mxvideo::models {

using LinearPtr = std::unique_ptr<quantization::LinearMethod>;

struct WanAttentionWeights {
  LinearPtr to_q, to_k, to_v, to_out;  // [dim, dim]
  Tensor norm_q, norm_k;               // [dim]
};

struct WanBlockWeights {
  Tensor scale_shift_table;  // [1, 6, dim]: shift, scale, gate of attn1, then of ffn
  WanAttentionWeights attn1;
  Tensor norm2_weight, norm2_bias;  // [dim]
  WanAttentionWeights attn2;
  LinearPtr ffn_in;   // ffn.net.0.proj [ffn_dim, dim]
  LinearPtr ffn_out;  // ffn.net.2 [dim, ffn_dim]
};

struct WanTransformerWeights {
  Tensor patch_weight, patch_bias;         // [dim, in_channels, pt, ph, pw], [dim]
  LinearPtr time_linear_1, time_linear_2;  // [dim, freq_dim], [dim, dim]
  LinearPtr time_proj;                     // [6·dim, dim]
  LinearPtr text_linear_1, text_linear_2;  // [dim, text_dim], [dim, dim]
  std::vector<WanBlockWeights> blocks;     // num_layers
  Tensor scale_shift_table;                // [1, 2, dim]: shift, scale of the head
  LinearPtr proj_out;                      // [out_channels·pt·ph·pw, dim]

  // In checkpoint order.
  std::vector<quantization::LinearMethod*> linears() const;
};

// distinct[min(i, last)] for each row i of the text: all of them from those of a WanTextContext.
Tensor all_text_rows(const Tensor& distinct, int64_t rows, kernels::Context& context);

// At most kMostFfnRows, equal pieces of all tokens.
int64_t ffn_rows(int64_t tokens);

}  // namespace mxvideo::models
