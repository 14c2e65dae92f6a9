// ComfyUI's markers of one transformer, from the tensors and from the metadata of every file.
// Thread-safe: no state.
#pragma once

#include "checkpoint/checkpoint.h"
#include "checkpoint/declaration/quantization_declaration.h"
#include "checkpoint/wan/key_map.h"

namespace mxvideo::checkpoint {

// `checkpoint` has canonical names, its files had those of `style`. Without a marker the result
// declares nothing. Throws Code::kCorruptFile for broken markers and for two of one layer that say
// different things.
QuantizationDeclaration comfy_declaration(const Checkpoint& checkpoint, NamingStyle style);

}  // namespace mxvideo::checkpoint
