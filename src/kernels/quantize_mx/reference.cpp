#include <algorithm>
#include <array>

#include "formats/half.h"
#include "kernels/quantize_mx/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr int kBlock = formats::kMxBlockSize;

std::array<float, kBlock> block_values(const QuantizeMxArgs& args, int64_t first) {
  std::array<float, kBlock> values{};
  if (args.x_bf16 == nullptr) {
    std::copy_n(args.x + first, kBlock, values.begin());
    return values;
  }
  std::transform(args.x_bf16 + first, args.x_bf16 + first + kBlock, values.begin(),
                 formats::decode_bf16);
  return values;
}

}  // namespace

void quantize_mx_reference(const QuantizeMxArgs& args) noexcept {
  const int64_t blocks = args.k / kBlock;
  for (int64_t row = 0; row < args.m; ++row) {
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t first = row * args.k + block * kBlock;
      const std::array<float, kBlock> values = block_values(args, first);
      const std::span<uint8_t, kBlock> codes(args.codes + first, kBlock);
      args.scales[row * blocks + block] = formats::quantize_mx_block(values, args.options, codes);
    }
  }
}

}  // namespace mxvideo::kernels
