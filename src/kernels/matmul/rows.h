// The implementations behind matmul_rows(). Each computes on the calling thread the tile it is
// given: at most kMatmulTileRows × kMatmulTileColumns of the output, strides and scratch set.
#pragma once

#include "kernels/matmul/matmul.h"

namespace mxvideo::kernels {

inline constexpr int64_t kMatmulTileRows = 256;
inline constexpr int64_t kMatmulTileColumns = 128;
// How much of k is multiplied at a time, so that a decoded panel of W stays in L2.
inline constexpr int64_t kMatmulTileDepth = 512;
// Length in floats of MatmulTile::scratch: a decoded panel of W, then the accumulators of a tile.
inline constexpr int64_t kMatmulScratch =
    kMatmulTileColumns * kMatmulTileDepth + kMatmulTileRows * kMatmulTileColumns;

// Most rows of X for which reading the weights takes longer than multiplying them.
inline constexpr int64_t kMatvecRows = 4;

struct MatmulTile : MatmulArgs {
  float* scratch = nullptr;
};

const char* matvec_reject(const MatmulArgs& args, const RunPolicy& policy) noexcept;
void matvec_highway(const MatmulTile& args) noexcept;
void matmul_onednn(const MatmulTile& args) noexcept;
void matmul_reference(const MatmulTile& args) noexcept;

// `count` weights of `dtype` (F32, BF16 or F16) at any address to floats; exact.
void decode_weights(const std::byte* weights, DType dtype, int64_t count, float* values) noexcept;

// By CANN, on an Ascend NPU.
const char* matmul_ascend_reject(const MatmulArgs& args, const RunPolicy& policy) noexcept;
void matmul_ascend(const MatmulArgs& args, std::byte* workspace, Context& context);

}  // namespace mxvideo::kernels
