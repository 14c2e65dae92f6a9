#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/parallel.h"
#include "formats/mx_block.h"
#include "kernels/gemm_mx/cpu/mx_panels.h"
#include "kernels/gemm_mx/cpu/panel.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kPanel = MxPanels::kPanel;

uint8_t* bytes_of(Tensor& tensor) { return reinterpret_cast<uint8_t*>(tensor.data()); }
const uint8_t* bytes_of(const Tensor& tensor) {
  return reinterpret_cast<const uint8_t*>(tensor.data());
}

// rows [width, length] -> a panel [length, kPanel], zero in the padding.
void pack_panel(const uint8_t* rows, int64_t width, int64_t length, uint8_t* panel) {
  const int64_t done = width == kPanel ? transpose_panel(rows, length, panel) : 0;
  if (done == length) return;
  std::memset(panel + done * kPanel, 0, static_cast<size_t>((length - done) * kPanel));
  for (int64_t j = 0; j < width; ++j) {
    for (int64_t t = done; t < length; ++t) panel[t * kPanel + j] = rows[j * length + t];
  }
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

MxPanelPacker::MxPanelPacker(int64_t n, int64_t k, formats::MxElement element, Device& device)
    : surveys_(static_cast<size_t>(ceil_div(n, kPanel))) {
  weight_.codes = Tensor(DType::kU8, {panels(), k, kPanel}, device);
  weight_.scales = Tensor(DType::kU8, {panels(), k / formats::kMxBlockSize, kPanel}, device);
  weight_.n = n;
  weight_.k = k;
  weight_.element = element;
}

int64_t MxPanelPacker::rows(int64_t panel) const {
  return std::min(kPanel, weight_.n - panel * kPanel);
}

void MxPanelPacker::pack(int64_t panel, const uint8_t* codes, const uint8_t* scales) noexcept {
  const int64_t blocks = weight_.k / formats::kMxBlockSize;
  const int64_t width = rows(panel);
  pack_panel(codes, width, weight_.k, bytes_of(weight_.codes) + panel * weight_.k * kPanel);
  pack_panel(scales, width, blocks, bytes_of(weight_.scales) + panel * blocks * kPanel);
  surveys_[static_cast<size_t>(panel)] =
      survey_blocks(codes, scales, width * blocks, weight_.element);
}

MxPanels MxPanelPacker::finish() {
  double noise = 0, signal = 0;
  for (const Survey& panel : surveys_) {
    weight_.max_scale = std::max(weight_.max_scale, panel.max_scale);
    weight_.fills_scales = weight_.fills_scales && panel.fills_scales;
    noise += panel.fast_noise;
    signal += panel.signal;
  }
  // Weights without a large element get no bound.
  if (noise > 0) weight_.fast_noise = noise / signal;
  return std::move(weight_);
}

MxPanels pack_mx_panels(const uint8_t* codes, const uint8_t* scales, int64_t n, int64_t k,
                        formats::MxElement element, Device& device) {
  MxPanelPacker packer(n, k, element, device);
  device.launch([&] {
    parallel_for(packer.panels(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        packer.pack(p, codes + p * kPanel * k, scales + p * kPanel * (k / formats::kMxBlockSize));
      }
    });
  });
  device.synchronize();
  return packer.finish();
}

double MxPanels::rounding_noise(std::string_view row) const {
  // The other elements of a block move by at most 2^-5 each, its largest, at least 64, not at all.
  constexpr double kInt16Noise = 31 * 0x1p-10 / 0x1p12;
  const bool exact = element == formats::MxElement::kInt8;
  if (!exact && row.ends_with("_fast")) return fast_noise;
  if (!exact && row.ends_with("_int16")) return kInt16Noise;
  return 0;
}

void MxPanels::unpack(uint8_t* row_major_codes, uint8_t* row_major_scales) const {
  codes.device().launch([=, this] {
    unpack_panels(bytes_of(codes), n, k, row_major_codes);
    unpack_panels(bytes_of(scales), n, k / formats::kMxBlockSize, row_major_scales);
  });
  codes.device().synchronize();
}

}  // namespace mxvideo::kernels
