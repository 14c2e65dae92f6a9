// gemm_mx on int8 for AVX-512 F + BW + VNNI: INT8 elements, and E4M3 as multiples of 4.
//
// VPDPBUSD multiplies 64 pairs of bytes and adds them by fours, but takes one operand unsigned:
// activations are stored as x + 128, and the sums start at -128 · Σ w of the block, which decoding
// the panel computes once. All of it is exact in int32; as on int16, the block's sum is converted,
// multiplied by both scales and joins the fp32 sums, in the same order.
//
// A decoded panel is 8 KiB and stays in L1 while all row tiles (vnni512-inl.h) pass.
//
// Bound: the conversion of a block's sums, three instructions for eight VPDPBUSD. Not timed yet on
// a machine with AVX-512; its results are tested on every machine through SIMDe.
#include "kernels/gemm_mx/vnni512-inl.h"

namespace mxvideo::kernels {
namespace {

// A decoded row: [kGemmDepth] x + 128, then a factor for each block. A decoded panel:
// [kGemmDepth / 4][32][4] bytes; [kBlocks][32] int32, where sums start; [kBlocks][32] factors.
struct Int8Quads {
  static constexpr int64_t kGroups = kBlock / 4;
  static constexpr int64_t kRowValueBytes = kGemmDepth;
  static constexpr int64_t kRowBytes = kRowValueBytes + 64;
  static constexpr int64_t kStarts = kGemmDepth / 4 * kGroupBytes;
  static constexpr int64_t kFactors = kStarts + kBlocks * kGemmPanel * 4;
  static __m512i start(const char* panel, int64_t block) {
    return _mm512_load_si512(panel + kStarts + block * kGemmPanel * 4);
  }
  static __m512i add(__m512i sum, __m512i activations, __m512i weights) {
    return _mm512_dpbusd_epi32(sum, activations, weights);
  }
};
static_assert(kBlocks * 4 <= 64 && Int8Quads::kRowBytes <= kGemmRowBytes);
static_assert(Int8Quads::kFactors + kBlocks * kGemmPanel * 4 <= kGemmPanelBytes);

// E4M3 as int8: what the fast row multiplies.
struct CoarseE4m3 : E4m3 {
  static constexpr float kUnit = 0x1p-6f;
};

inline __m256i bytes_of(__m256i codes, Int8 /*element*/) { return codes; }

inline __m256i bytes_of(__m256i codes, CoarseE4m3 /*element*/) {
  // 2^(exponent - 8) for exponents 8 to 15; what lies below rounds to zero.
  const __m256i powers =
      _mm256_set_epi16(0x80, 0x40, 0x20, 0x10, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_cvtepi16_epi8(multiples_of(codes, powers));
}

template <class Element>
void decode_activation(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* row) {
  auto* values = static_cast<char*>(row);
  auto* factors = reinterpret_cast<float*>(values + kGemmDepth);
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    const __m256i block_codes = load(codes + block * kBlock);
    const __m256i signed_values = bytes_of(block_codes, Element());
    store(_mm256_xor_si256(signed_values, _mm256_set1_epi8(-128)), values + block * kBlock);
    factors[block] = row_factor<Element>(scales[block], block_codes);
  }
}

// Four rows of a panel, to fours of consecutive elements of one feature.
template <class Element>
void interleave_quads(const uint8_t* codes, char* out) {
  const Element element;
  const __m256i row0 = bytes_of(load(codes), element);
  const __m256i row1 = bytes_of(load(codes + kGemmPanel), element);
  const __m256i row2 = bytes_of(load(codes + 2 * kGemmPanel), element);
  const __m256i row3 = bytes_of(load(codes + 3 * kGemmPanel), element);
  // Features 0 to 7 and 16 to 23 in the two lanes, then 8 to 15 and 24 to 31.
  const __m256i low_01 = _mm256_unpacklo_epi8(row0, row1);
  const __m256i low_23 = _mm256_unpacklo_epi8(row2, row3);
  const __m256i high_01 = _mm256_unpackhi_epi8(row0, row1);
  const __m256i high_23 = _mm256_unpackhi_epi8(row2, row3);
  // Features 0 to 3 and 16 to 19, 4 to 7 and 20 to 23, and so on.
  const __m256i a = _mm256_unpacklo_epi16(low_01, low_23);
  const __m256i b = _mm256_unpackhi_epi16(low_01, low_23);
  const __m256i c = _mm256_unpacklo_epi16(high_01, high_23);
  const __m256i d = _mm256_unpackhi_epi16(high_01, high_23);
  store(_mm256_permute2x128_si256(a, b, 0x20), out);
  store(_mm256_permute2x128_si256(c, d, 0x20), out + 32);
  store(_mm256_permute2x128_si256(a, b, 0x31), out + 64);
  store(_mm256_permute2x128_si256(c, d, 0x31), out + 96);
}

template <class Element>
void decode_panel(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* panel) {
  auto* values = static_cast<char*>(panel);
  auto* starts = values + Int8Quads::kStarts;
  auto* factors = reinterpret_cast<float*>(values + Int8Quads::kFactors);
  for (int64_t t = 0; t < depth; t += 4) {
    interleave_quads<Element>(codes + t * kGemmPanel, values + t / 4 * kGroupBytes);
  }
  const __m512i zero_activation = _mm512_set1_epi8(-128);  // 0 + 128, as an unsigned byte
  for (int64_t i = 0; i < depth / kBlock * kGemmPanel; i += kLanes) {
    const char* quads =
        values + i / kGemmPanel * Int8Quads::kGroups * kGroupBytes + i % kGemmPanel * 4;
    __m512i sum = _mm512_setzero_si512();
    for (int64_t q = 0; q < Int8Quads::kGroups; ++q) {
      sum = _mm512_dpbusd_epi32(sum, zero_activation, _mm512_load_si512(quads + q * kGroupBytes));
    }
    _mm512_store_si512(starts + i * 4, _mm512_sub_epi32(_mm512_setzero_si512(), sum));
    decode_factors(scales + i, Element::kUnit, factors + i);
  }
}

template <class Element>
constexpr GemmMicroKernel kMicroKernel = {
    .row_bytes = Int8Quads::kRowBytes,
    .decode_activation = decode_activation<Element>,
    .decode_panel = decode_panel<Element>,
    .multiply = multiply<Int8Quads>,
};

}  // namespace

const GemmMicroKernel kGemmMxint8Avx512VnniInt8 = kMicroKernel<Int8>;
const GemmMicroKernel kGemmMxAvx512VnniFast = kMicroKernel<CoarseE4m3>;

}  // namespace mxvideo::kernels
