#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/parallel.h"
#include "formats/mx_block.h"
#include "kernels/gemm_mx/gemm_mx.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kPanel = PackedMxWeight::kPanel;

uint8_t* bytes_of(Tensor& tensor) { return reinterpret_cast<uint8_t*>(tensor.data()); }
const uint8_t* bytes_of(const Tensor& tensor) {
  return reinterpret_cast<const uint8_t*>(tensor.data());
}

constexpr int64_t kSide = 16;
using Bytes [[gnu::vector_size(kSide)]] = uint8_t;  // of GCC and clang, on any machine

// 16 × 16 bytes: four rounds that interleave rows i and i + 8 rotate the index (row, column) of a
// byte by half.
void transpose_square(const uint8_t* rows, int64_t stride, uint8_t* out) {
  Bytes square[kSide];
  for (int64_t i = 0; i < kSide; ++i) std::memcpy(&square[i], rows + i * stride, kSide);
  for (int round = 0; round < 4; ++round) {
    Bytes mixed[kSide];
    for (int64_t i = 0; i < kSide / 2; ++i) {
      const Bytes upper = square[i], lower = square[i + kSide / 2];
      mixed[2 * i] = __builtin_shufflevector(upper, lower, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21,
                                             6, 22, 7, 23);
      mixed[2 * i + 1] = __builtin_shufflevector(upper, lower, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28,
                                                 13, 29, 14, 30, 15, 31);
    }
    std::copy_n(mixed, kSide, square);
  }
  for (int64_t i = 0; i < kSide; ++i) std::memcpy(out + i * kPanel, &square[i], kSide);
}

// rows [width, length] -> a panel [length, kPanel], zero in the padding.
void pack_panel(const uint8_t* rows, int64_t width, int64_t length, uint8_t* panel) {
  const int64_t whole = width == kPanel ? length / kSide * kSide : 0;
  for (int64_t t = 0; t < whole; t += kSide) {
    for (int64_t j = 0; j < kPanel; j += kSide) {
      transpose_square(rows + j * length + t, length, panel + t * kPanel + j);
    }
  }
  if (whole == length) return;
  std::memset(panel + whole * kPanel, 0, static_cast<size_t>((length - whole) * kPanel));
  for (int64_t j = 0; j < width; ++j) {
    for (int64_t t = whole; t < length; ++t) panel[t * kPanel + j] = rows[j * length + t];
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

using Survey = MxWeightPacker::Survey;

using Words [[gnu::vector_size(kSide)]] = uint16_t;

Words sum_pairs(Bytes bytes) {
  const auto words = reinterpret_cast<Words>(bytes);
  return (words & 0xff) + (words >> 8);
}

// The sum must fit 16 bits.
int sum_words(Words words) {
  uint64_t halves[2];
  std::memcpy(halves, &words, sizeof halves);
  return static_cast<int>((halves[0] + halves[1]) * 0x0001000100010001u >> 48);
}

// One block's part. As int8 multiples of 4, the elements from 16 to 32 that are odd multiples of 2
// move by 2, those from 8 to 16 by up to 2 as their remainder says, and smaller ones by at most 2;
// the signal takes elements of at least 64 for the next half octave below.
void add_fast_noise(const uint8_t* codes, uint8_t scale, Survey& survey) {
  constexpr int8_t k8 = 0x50, k16 = 0x58, k32 = 0x60;
  constexpr int8_t k64 = 0x68, k96 = 0x6c, k128 = 0x70, k192 = 0x74, k256 = 0x78, k384 = 0x7c;
  using Signed [[gnu::vector_size(kSide)]] = int8_t;
  const auto where = [](Signed mask, uint8_t value) {
    return reinterpret_cast<Bytes>(mask) & value;
  };
  Words noise_sum = {}, signal_sum = {};
  for (int64_t first = 0; first < formats::kMxBlockSize; first += kSide) {
    Signed m;
    std::memcpy(&m, codes + first, sizeof m);
    m &= 0x7f;
    const Signed from_8 = (m >= k8) & (m < k16), from_16 = (m >= k16) & (m < k32);
    const Signed odd = (m & 1) == 1;
    const Signed by_two = ((m > 0) & (m < k8)) | (from_8 & ((m & 3) == 2)) | (from_16 & odd);
    const Bytes noise = where(by_two, 4) + where(from_8 & odd, 1);
    // Squares in units of 2^10, as steps from one to the next.
    const Bytes signal = where(m >= k64, 4) + where(m >= k96, 5) + where(m >= k128, 7) +
                         where(m >= k192, 20) + where(m >= k256, 28) + where(m >= k384, 80);
    noise_sum += sum_pairs(noise);
    signal_sum += sum_pairs(signal);
  }
  const int exponent = scale - 127;
  const auto square = std::bit_cast<double>(static_cast<uint64_t>(1023 + 2 * exponent) << 52);
  survey.fast_noise += square * sum_words(noise_sum);
  survey.signal += square * 1024 * sum_words(signal_sum);
}

Survey survey_rows(const uint8_t* codes, const uint8_t* scales, int64_t blocks,
                   formats::MxElement element) {
  const bool int8 = element == formats::MxElement::kInt8;
  const uint8_t smallest = int8 ? 0 : 0x68;  // the code of 64
  const int mask = int8 ? 0xff : 0x7f;
  Survey result;
  for (int64_t b = 0; b < blocks; ++b) {
    uint8_t largest = 0;
    for (int64_t t = 0; t < formats::kMxBlockSize; ++t) {
      // Of INT8 only zero matters, which has no sign.
      const auto magnitude = static_cast<uint8_t>(codes[b * formats::kMxBlockSize + t] & mask);
      largest = std::max(largest, magnitude);
    }
    if (!int8) add_fast_noise(codes + b * formats::kMxBlockSize, scales[b], result);
    result.max_scale = std::max(result.max_scale, scales[b]);
    const bool fills = largest >= smallest && scales[b] >= PackedMxWeight::kSmallestScale &&
                       scales[b] <= PackedMxWeight::kLargestScale;
    result.fills_scales = result.fills_scales && (fills || largest == 0);
  }
  return result;
}

}  // namespace

MxWeightPacker::MxWeightPacker(int64_t n, int64_t k, formats::MxElement element)
    : surveys_(static_cast<size_t>(ceil_div(n, kPanel))) {
  weight_.codes = Tensor(DType::kU8, {panels(), k, kPanel});
  weight_.scales = Tensor(DType::kU8, {panels(), k / formats::kMxBlockSize, kPanel});
  weight_.n = n;
  weight_.k = k;
  weight_.element = element;
}

int64_t MxWeightPacker::rows(int64_t panel) const {
  return std::min(kPanel, weight_.n - panel * kPanel);
}

void MxWeightPacker::pack(int64_t panel, const uint8_t* codes, const uint8_t* scales) noexcept {
  const int64_t blocks = weight_.k / formats::kMxBlockSize;
  const int64_t width = rows(panel);
  pack_panel(codes, width, weight_.k, bytes_of(weight_.codes) + panel * weight_.k * kPanel);
  pack_panel(scales, width, blocks, bytes_of(weight_.scales) + panel * blocks * kPanel);
  surveys_[static_cast<size_t>(panel)] =
      survey_rows(codes, scales, width * blocks, weight_.element);
}

PackedMxWeight MxWeightPacker::finish() {
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

PackedMxWeight pack_mx_weight(const uint8_t* codes, const uint8_t* scales, int64_t n, int64_t k,
                              formats::MxElement element) {
  MxWeightPacker packer(n, k, element);
  parallel_for(packer.panels(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      packer.pack(p, codes + p * kPanel * k, scales + p * kPanel * (k / formats::kMxBlockSize));
    }
  });
  return packer.finish();
}

int64_t packed_mx_weight_bytes(int64_t n, int64_t k) {
  return ceil_div(n, kPanel) * kPanel * (k + k / formats::kMxBlockSize);
}

void unpack_mx_weight(const PackedMxWeight& weight, uint8_t* codes, uint8_t* scales) {
  unpack_panels(bytes_of(weight.codes), weight.n, weight.k, codes);
  unpack_panels(bytes_of(weight.scales), weight.n, weight.k / formats::kMxBlockSize, scales);
}

}  // namespace mxvideo::kernels
