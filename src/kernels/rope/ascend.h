// What attention shares with the NPU's rotary embedding.
#pragma once

#include "kernels/common/npu.h"

namespace mxvideo::kernels {

inline constexpr int64_t kInterleavedRope = 1;  // mode of aclnnRotaryPositionEmbedding

// Cosines or sines [rows, head_dim/2], or of make_rope_table(), as the operator takes them, each
// twice: [1, rows, 1, head_dim].
AclView rope_table_ascend(Npu& npu, const DevicePtr<const float>& table, int64_t rows,
                          int64_t head_dim, AclType type);

}  // namespace mxvideo::kernels
