#include "kernels/quantize_mx/rows.h"

namespace mxvideo::kernels {

void quantize_mx_reference(const QuantizeMxArgs& args) noexcept {
  constexpr int kBlock = formats::kMxBlockSize;
  const int64_t blocks = args.k / kBlock;
  for (int64_t row = 0; row < args.m; ++row) {
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t first = row * args.k + block * kBlock;
      const std::span<const float, kBlock> values(args.x + first, kBlock);
      const std::span<uint8_t, kBlock> codes(args.codes + first, kBlock);
      args.scales[row * blocks + block] = formats::quantize_mx_block(values, args.options, codes);
    }
  }
}

}  // namespace mxvideo::kernels
