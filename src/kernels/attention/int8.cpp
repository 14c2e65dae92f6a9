#include "kernels/attention/int8.h"

namespace mxvideo::kernels {
namespace {

void pack_keys(const AttentionBlock& args, const PackedKeyValues& layout, const KeyBlock& block,
               int16_t* codes, float* scales) noexcept {
  const int64_t width = layout.k_width();
  const float* mean = args.key_mean + block.head * args.head_dim;
  for (int64_t key = 0; key < block.count; ++key) {
    const float* k = block.k.first + key * block.k.stride;
    const IntegerQuantizer quantize = key_quantizer(k, mean, args.head_dim);
    scales[key] = quantize.scale();
    int16_t* row = codes + key * width;
    for (int64_t d = 0; d < args.head_dim; ++d) row[d] = quantize(k[d] - mean[d]);
    std::fill(row + args.head_dim, row + width, int16_t{0});
  }
  std::fill(codes + block.count * width, codes + layout.keys() * width, int16_t{0});
  std::fill(scales + block.count, scales + layout.keys(), 0.0f);
}

void pack_values(const AttentionBlock& args, const PackedKeyValues& layout, const KeyBlock& block,
                 int16_t* codes, float* scales) noexcept {
  std::fill_n(codes, layout.keys() * layout.v_width(), int16_t{0});
  std::fill_n(scales, layout.v_width(), 0.0f);
  for (int64_t column = 0; column < args.head_dim; column += kMaxPanel) {
    const int64_t width = std::min(kMaxPanel, args.head_dim - column);
    const float* v = args.v + block.first * args.kv_stride + block.head * args.head_dim + column;
    uint32_t largest[kMaxPanel] = {};
    for (int64_t key = 0; key < block.count; ++key) {
      for (int64_t d = 0; d < width; ++d) {
        largest[d] = larger_magnitude(largest[d], v[key * args.kv_stride + d]);
      }
    }
    int16_t* panel = codes + column * layout.keys();
    IntegerQuantizer quantizers[kMaxPanel];
    for (int64_t d = 0; d < width; ++d) {
      quantizers[d] = IntegerQuantizer(largest[d], kLargestValueCode);
      scales[column + d] = quantizers[d].scale();
    }
    for (int64_t key = 0; key < block.count; ++key) {
      int16_t* row = panel + key / 2 * 2 * kMaxPanel + key % 2;
      for (int64_t d = 0; d < width; ++d) row[2 * d] = quantizers[d](v[key * args.kv_stride + d]);
    }
  }
}

}  // namespace

void add_keys(const HeadRows& keys, int64_t count, int64_t head_dim, double* sums) noexcept {
  for (int64_t key = 0; key < count; ++key) {
    const float* k = keys.first + key * keys.stride;
    for (int64_t d = 0; d < head_dim; ++d) sums[d] += static_cast<double>(k[d]);
  }
}

void pack_int8_block(const AttentionBlock& args, const PackedKeyValues& layout,
                     const KeyBlock& block, std::byte* packed) noexcept {
  const int64_t i = block.index;
  pack_keys(args, layout, block, reinterpret_cast<int16_t*>(packed + layout.k_offset(i)),
            reinterpret_cast<float*>(packed + layout.k_scale_offset(i)));
  pack_values(args, layout, block, reinterpret_cast<int16_t*>(packed + layout.v_offset(i)),
              reinterpret_cast<float*>(packed + layout.v_scale_offset(i)));
}

}  // namespace mxvideo::kernels
