#include "kernels/gemm_mx/cpu/panel.h"

#include <algorithm>
#include <bit>

#include "formats/mx_block.h"

namespace mxvideo::kernels {
namespace {

constexpr int kBlock = formats::kMxBlockSize;

// Codes of these E4M3 numbers; codes without sign are in the order of their numbers.
constexpr int k8 = 0x50, k16 = 0x58, k32 = 0x60, k64 = 0x68;

// (w' - w)² of an E4M3 element w and the int8 multiple w' of 4, at most: elements from 16 to 32
// that are odd multiples of 2 move by 2, those from 8 to 16 by up to 2 as their remainder says, and
// smaller ones by at most 2.
int noise_of(int code) {
  if (code == 0 || code >= k32) return 0;
  if (code < k8) return 4;
  const int remainder = code < k16 ? code & 3 : 2 * (code & 1);
  return remainder == 2 ? 4 : remainder & 1;
}

// Square of the half octave below an element, in units of 2^10; 0 below 64.
int signal_of(int code) {
  if (code < k64) return 0;
  const int octave = (code - k64) >> 3;
  return ((code & 4) == 0 ? 4 : 9) << (2 * octave);
}

}  // namespace

MxPanelPacker::Survey survey_blocks_reference(const uint8_t* codes, const uint8_t* scales,
                                              int64_t blocks, formats::MxElement element) noexcept {
  constexpr int kParts = 4;  // of a block, each with a sum of its own
  const bool int8 = element == formats::MxElement::kInt8;
  double noise[kParts] = {}, signal[kParts] = {};
  MxPanelPacker::Survey result;
  for (int64_t b = 0; b < blocks; ++b) {
    const int exponent = scales[b] - 127;
    const auto square = std::bit_cast<double>(static_cast<uint64_t>(1023 + 2 * exponent) << 52);
    int largest = 0;
    for (int part = 0; part < kParts; ++part) {
      int part_noise = 0, part_signal = 0;
      for (int t = part * kBlock / kParts; t < (part + 1) * kBlock / kParts; ++t) {
        // Of INT8 only zero matters, which has no sign.
        const int magnitude = codes[b * kBlock + t] & (int8 ? 0xff : 0x7f);
        largest = std::max(largest, magnitude);
        if (int8) continue;
        part_noise += noise_of(magnitude);
        part_signal += signal_of(magnitude);
      }
      noise[part] += square * part_noise;
      signal[part] += square * part_signal;
    }
    result.max_scale = std::max(result.max_scale, scales[b]);
    const bool fills = largest >= (int8 ? 1 : k64) && scales[b] >= MxPanels::kSmallestScale &&
                       scales[b] <= MxPanels::kLargestScale;
    result.fills_scales = result.fills_scales && (fills || largest == 0);
  }
  result.fast_noise = (noise[0] + noise[1]) + (noise[2] + noise[3]);
  result.signal = 1024 * ((signal[0] + signal[1]) + (signal[2] + signal[3]));
  return result;
}

}  // namespace mxvideo::kernels
