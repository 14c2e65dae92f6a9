// What packing a weight does to the rows of one panel; see MxPanels. Vectorized, on the
// calling thread.
#pragma once

#include <cstdint>

#include "kernels/gemm_mx/cpu/mx_panels.h"

namespace mxvideo::kernels {

// rows [kPanel, length] -> panel [length, kPanel]; writes whole multiples of 16 of the length and
// returns how many.
int64_t transpose_panel(const uint8_t* rows, int64_t length, uint8_t* panel) noexcept;

// `codes` [blocks, 32] and `scales` [blocks].
MxPanelPacker::Survey survey_blocks(const uint8_t* codes, const uint8_t* scales, int64_t blocks,
                                    formats::MxElement element) noexcept;
// The same, element by element; the same bits.
MxPanelPacker::Survey survey_blocks_reference(const uint8_t* codes, const uint8_t* scales,
                                              int64_t blocks, formats::MxElement element) noexcept;

}  // namespace mxvideo::kernels
