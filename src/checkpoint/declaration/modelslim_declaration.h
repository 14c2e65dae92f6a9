// quant_model_description*.json as a declaration. Thread-safe: no state.
#pragma once

#include <filesystem>

#include "checkpoint/declaration/quantization_declaration.h"

namespace mxvideo::checkpoint {

// Throws Code::kCorruptFile.
QuantizationDeclaration modelslim_declaration(const std::filesystem::path& path);

// "blocks.0.attn1.quant_type" and "blocks.0.attn1" name what an attention is computed in.
inline constexpr std::string_view kAttentionType = ".quant_type";
bool is_attention_module(std::string_view name);

}  // namespace mxvideo::checkpoint
