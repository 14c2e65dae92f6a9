#include "kernels/attention/int8.h"

namespace mxvideo::kernels {
namespace {

// The keys [first, first + keys) of a head.
struct KeyRange {
  int64_t head;
  int64_t first;
  int64_t keys;
};

void pack_keys(const AttentionArgs& args, const PackedKeyValues& layout, const KeyRange& range,
               int16_t* codes, float* scales) noexcept {
  const auto [head, first, keys] = range;
  const int64_t width = layout.k_width();
  const float* mean = args.key_mean + head * args.head_dim;
  for (int64_t key = 0; key < keys; ++key) {
    const float* k = args.k + (first + key) * args.kv_stride + head * args.head_dim;
    const IntegerQuantizer quantize = key_quantizer(k, mean, args.head_dim);
    scales[key] = quantize.scale();
    int16_t* row = codes + key * width;
    for (int64_t d = 0; d < args.head_dim; ++d) row[d] = quantize(k[d] - mean[d]);
    std::fill(row + args.head_dim, row + width, int16_t{0});
  }
  std::fill(codes + keys * width, codes + layout.keys() * width, int16_t{0});
  std::fill(scales + keys, scales + layout.keys(), 0.0f);
}

void pack_values(const AttentionArgs& args, const PackedKeyValues& layout, const KeyRange& range,
                 int16_t* codes, float* scales) noexcept {
  const auto [head, first, keys] = range;
  std::fill_n(codes, layout.keys() * layout.v_width(), int16_t{0});
  std::fill_n(scales, layout.v_width(), 0.0f);
  for (int64_t column = 0; column < args.head_dim; column += kMaxPanel) {
    const int64_t width = std::min(kMaxPanel, args.head_dim - column);
    const float* v = args.v + first * args.kv_stride + head * args.head_dim + column;
    uint32_t largest[kMaxPanel] = {};
    for (int64_t key = 0; key < keys; ++key) {
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
    for (int64_t key = 0; key < keys; ++key) {
      int16_t* row = panel + key / 2 * 2 * kMaxPanel + key % 2;
      for (int64_t d = 0; d < width; ++d) row[2 * d] = quantizers[d](v[key * args.kv_stride + d]);
    }
  }
}

}  // namespace

void mean_of_keys(const AttentionArgs& args, int64_t head, float* mean) noexcept {
  for (int64_t column = 0; column < args.head_dim; column += kMaxPanel) {
    const int64_t width = std::min(kMaxPanel, args.head_dim - column);
    double sums[kMaxPanel] = {};
    for (int64_t key = 0; key < args.kv_length; ++key) {
      const float* k = args.k + key * args.kv_stride + head * args.head_dim + column;
      for (int64_t d = 0; d < width; ++d) sums[d] += static_cast<double>(k[d]);
    }
    for (int64_t d = 0; d < width; ++d) {
      mean[column + d] = static_cast<float>(sums[d] / static_cast<double>(args.kv_length));
    }
  }
}

void pack_int8_block(const AttentionArgs& args, const PackedKeyValues& layout, int64_t head,
                     int64_t block, std::byte* packed) noexcept {
  const int64_t first = block * layout.keys();
  const KeyRange range = {head, first, std::min(layout.keys(), args.kv_length - first)};
  pack_keys(args, layout, range, reinterpret_cast<int16_t*>(packed + layout.k_offset(block)),
            reinterpret_cast<float*>(packed + layout.k_scale_offset(block)));
  pack_values(args, layout, range, reinterpret_cast<int16_t*>(packed + layout.v_offset(block)),
              reinterpret_cast<float*>(packed + layout.v_scale_offset(block)));
}

}  // namespace mxvideo::kernels
