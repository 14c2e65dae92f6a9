#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/parallel.h"
#include "formats/mx_block.h"
#include "kernels/gemm_mxfp8/gemm_mxfp8.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kPanel = PackedMxfp8Weight::kPanel;

uint8_t* bytes_of(Tensor& tensor) { return reinterpret_cast<uint8_t*>(tensor.data()); }
const uint8_t* bytes_of(const Tensor& tensor) {
  return reinterpret_cast<const uint8_t*>(tensor.data());
}

// rows [n, length] -> panels [ceil(n/kPanel), length, kPanel], zero in the padding.
void pack_panels(const uint8_t* rows, int64_t n, int64_t length, uint8_t* panels) {
  parallel_for(ceil_div(n, kPanel), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      uint8_t* panel = panels + p * length * kPanel;
      const int64_t width = std::min(kPanel, n - p * kPanel);
      if (width < kPanel) std::memset(panel, 0, static_cast<size_t>(length * kPanel));
      for (int64_t j = 0; j < width; ++j) {
        const uint8_t* row = rows + (p * kPanel + j) * length;
        for (int64_t t = 0; t < length; ++t) panel[t * kPanel + j] = row[t];
      }
    }
  });
}

void unpack_panels(const uint8_t* panels, int64_t n, int64_t length, uint8_t* rows) {
  parallel_for(n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      const uint8_t* panel = panels + j / kPanel * kPanel * length + j % kPanel;
      for (int64_t t = 0; t < length; ++t) rows[j * length + t] = panel[t * kPanel];
    }
  });
}

}  // namespace

PackedMxfp8Weight pack_mxfp8_weight(const uint8_t* codes, const uint8_t* scales, int64_t n,
                                    int64_t k) {
  const int64_t panels = ceil_div(n, kPanel);
  const int64_t blocks = k / formats::kMxBlockSize;
  PackedMxfp8Weight weight;
  weight.codes = Tensor(DType::kU8, {panels, k, kPanel});
  weight.scales = Tensor(DType::kU8, {panels, blocks, kPanel});
  weight.n = n;
  weight.k = k;
  pack_panels(codes, n, k, bytes_of(weight.codes));
  pack_panels(scales, n, blocks, bytes_of(weight.scales));
  for (int64_t i = 0; i < n * blocks; ++i) {
    weight.max_scale = std::max(weight.max_scale, scales[i]);
  }
  return weight;
}

int64_t packed_mxfp8_weight_bytes(int64_t n, int64_t k) {
  return ceil_div(n, kPanel) * kPanel * (k + k / formats::kMxBlockSize);
}

void unpack_mxfp8_weight(const PackedMxfp8Weight& weight, uint8_t* codes, uint8_t* scales) {
  unpack_panels(bytes_of(weight.codes), weight.n, weight.k, codes);
  unpack_panels(bytes_of(weight.scales), weight.n, weight.k / formats::kMxBlockSize, scales);
}

}  // namespace mxvideo::kernels
