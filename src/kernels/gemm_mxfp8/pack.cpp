#include <algorithm>
#include <cstring>
#include <vector>

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

// What holds for a panel's worth of rows.
struct Survey {
  uint8_t max_scale = 0;
  bool fills_scales = true;
};

Survey survey_rows(const uint8_t* codes, const uint8_t* scales, int64_t blocks,
                   formats::MxElement element) {
  const bool int8 = element == formats::MxElement::kInt8;
  const uint8_t smallest = int8 ? 0 : 0x68;  // the code of 64
  constexpr uint8_t kSmallestScale = 32, kLargestScale = 220;
  const int mask = int8 ? 0xff : 0x7f;
  Survey result;
  for (int64_t b = 0; b < blocks; ++b) {
    uint8_t largest = 0;
    for (int64_t t = 0; t < formats::kMxBlockSize; ++t) {
      // Of INT8 only zero matters, which has no sign.
      const auto magnitude = static_cast<uint8_t>(codes[b * formats::kMxBlockSize + t] & mask);
      largest = std::max(largest, magnitude);
    }
    result.max_scale = std::max(result.max_scale, scales[b]);
    const bool fills =
        largest >= smallest && scales[b] >= kSmallestScale && scales[b] <= kLargestScale;
    result.fills_scales = result.fills_scales && (fills || largest == 0);
  }
  return result;
}

// Sets max_scale and fills_scales.
void survey(const uint8_t* codes, const uint8_t* scales, PackedMxfp8Weight& weight) {
  const int64_t blocks = weight.k / formats::kMxBlockSize;
  std::vector<Survey> panels(static_cast<size_t>(ceil_div(weight.n, kPanel)));
  parallel_for(static_cast<int64_t>(panels.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t first = p * kPanel;
      const int64_t rows = std::min(kPanel, weight.n - first);
      panels[static_cast<size_t>(p)] = survey_rows(
          codes + first * weight.k, scales + first * blocks, rows * blocks, weight.element);
    }
  });
  for (const Survey& panel : panels) {
    weight.max_scale = std::max(weight.max_scale, panel.max_scale);
    weight.fills_scales = weight.fills_scales && panel.fills_scales;
  }
}

}  // namespace

PackedMxfp8Weight pack_mxfp8_weight(const uint8_t* codes, const uint8_t* scales, int64_t n,
                                    int64_t k, formats::MxElement element) {
  const int64_t panels = ceil_div(n, kPanel);
  const int64_t blocks = k / formats::kMxBlockSize;
  PackedMxfp8Weight weight;
  weight.codes = Tensor(DType::kU8, {panels, k, kPanel});
  weight.scales = Tensor(DType::kU8, {panels, blocks, kPanel});
  weight.n = n;
  weight.k = k;
  weight.element = element;
  pack_panels(codes, n, k, bytes_of(weight.codes));
  pack_panels(scales, n, blocks, bytes_of(weight.scales));
  survey(codes, scales, weight);
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
