// Whether the tensors of one part of a model fit the architecture of its config, or, for a
// transformer without one, of its shapes. Thread-safe: no state.
#pragma once

#include "audit/model_parts.h"
#include "checkpoint/transformer_checkpoint.h"

namespace mxvideo::audit {

// Throws one Code::kCorruptFile that says what does not fit, as loading would; Code::kUnsupported
// for what mxvideo does not run, named where it is known (checkpoint/wan/model_family.h).
void check_part(const ModelPart& part, const checkpoint::TransformerCheckpoint& opened);

}  // namespace mxvideo::audit
