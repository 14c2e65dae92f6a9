// gemm_mx for AMX-BF16, decoding with AVX-512 F + BW.
//
// Idea: an element times its scale is a bf16 number, exactly, for E4M3 (4 significant bits) as for
// INT8 (at most 7 and a sign), as long as it is no fp32 subnormal: AMX takes those for zero. So
// TDPBF16PS multiplies the definition's own operands and adds in fp32.
//
// Tile: 32 activation rows x 32 features in four tile registers, which hold the sums of kGemmDepth
// elements; two more hold the activations and two the weights of 32 elements.
//
// Order of sums (Intel's pseudocode of TDPBF16PS): even and odd elements of 32 apart, each from
// zero; both together; that to the sum so far. Not timed yet on a machine with AMX; its results are
// tested on every machine through an emulation of that pseudocode.
#include <immintrin.h>

#include "kernels/common/amx-inl.h"
#include "kernels/gemm_mx/pairs-inl.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kBlock = 32;  // elements that share a scale, and that a tile row holds
constexpr int64_t kRowBytes = kGemmDepth * 2 + 64;
constexpr int64_t kPairBytes = kGemmPanel * 4;  // two consecutive elements of each feature
static_assert(kRowBytes <= kGemmRowBytes && kGemmDepth / 2 * kPairBytes <= kGemmPanelBytes);
static_assert(kGemmPanel == 2 * kTileSide && kGemmRowGrain % (2 * kTileSide) == 0);

// In bf16, a power of two is a step of the exponent field.
constexpr int kExponentShift = 7;

// The element formats: kZeroScale is the scale byte at which bits() has the value itself.
struct E4m3 {
  static constexpr int kZeroScale = 127;

  // The magnitudes of 32 sign-extended codes.
  static __m512i magnitude(__m512i words) {
    return _mm512_and_si512(words, _mm512_set1_epi16(0x7f));
  }

  // bf16 bits of the magnitudes at scale 1; NaN for the NaN code.
  static __m512i bits(__m512i magnitude) {
    constexpr int kBias = (127 - 7) << kExponentShift;
    // Subnormals, 0 to 7 times 2^-9.
    const __m512i small = _mm512_broadcast_i32x4(
        _mm_set_epi16(0x3c60, 0x3c40, 0x3c20, 0x3c00, 0x3bc0, 0x3b80, 0x3b00, 0));
    const __m512i normal =
        _mm512_add_epi16(_mm512_slli_epi16(magnitude, 4), _mm512_set1_epi16(kBias));
    const auto is_small = _mm512_cmplt_epu16_mask(magnitude, _mm512_set1_epi16(8));
    const auto is_nan = _mm512_cmpeq_epi16_mask(magnitude, _mm512_set1_epi16(0x7f));
    const __m512i value = _mm512_mask_permutexvar_epi16(normal, is_small, magnitude, small);
    return _mm512_mask_blend_epi16(is_nan, value, _mm512_set1_epi16(0x7fc0));
  }
};

struct Int8 {
  static constexpr int kZeroScale = 127 + 6;

  static __m512i magnitude(__m512i words) { return _mm512_abs_epi16(words); }

  // By way of fp32, whose upper half is the bf16 number here.
  static __m512i bits(__m512i magnitude) {
    const __m256i low = half_bits(_mm512_castsi512_si256(magnitude));
    const __m256i high = half_bits(_mm512_extracti64x4_epi64(magnitude, 1));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }

 private:
  static __m256i half_bits(__m256i words) {
    const __m512 values = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(words));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(values), 16));
  }
};

// 32 codes in bf16, in their order, times the powers of two whose exponents are in the exponent
// field of `powers`.
template <class Element>
inline __m512i values_of(__m256i codes, __m512i powers) {
  const __m512i words = _mm512_cvtepi8_epi16(codes);
  const __m512i magnitude = Element::magnitude(words);
  const __m512i bits = Element::bits(magnitude);
  const auto is_zero = _mm512_cmpeq_epi16_mask(magnitude, _mm512_setzero_si512());
  const auto is_nan = _mm512_cmpeq_epi16_mask(bits, _mm512_set1_epi16(0x7fc0));
  const __m512i scaled = _mm512_mask_add_epi16(bits, ~(is_zero | is_nan), bits, powers);
  const __m512i sign = _mm512_and_si512(words, _mm512_set1_epi16(static_cast<int16_t>(0x8000)));
  return _mm512_or_si512(scaled, sign);
}

template <class Element>
void decode_activation(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* row) {
  auto* values = static_cast<char*>(row);
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    const int scale = scales[block];
    const auto power = static_cast<int16_t>((scale - Element::kZeroScale) * (1 << kExponentShift));
    const __m256i block_codes =
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + block * kBlock));
    const __m512i decoded = values_of<Element>(block_codes, _mm512_set1_epi16(power));
    _mm512_store_si512(values + block * kTileRowBytes,
                       scale == 0xff ? _mm512_set1_epi16(0x7fc0) : decoded);
  }
}

// Of 16 features, each twice, for its two elements of a pair.
template <class Element>
inline __m512i pair_powers(const uint8_t* scales) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales));
  const __m512i zero_scale = _mm512_set1_epi32(Element::kZeroScale);
  const __m512i exponents = _mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), zero_scale);
  const __m512i upper = _mm512_slli_epi32(exponents, 16 + kExponentShift);
  return _mm512_or_si512(upper, _mm512_srli_epi32(upper, 16));
}

// panel: [kGemmDepth / 2][32][2], pairs of consecutive elements of one feature.
template <class Element>
void decode_panel(const uint8_t* codes, const uint8_t* scales, int64_t depth, void* panel) {
  auto* values = static_cast<char*>(panel);
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    const __m512i low_powers = pair_powers<Element>(scales + block * kGemmPanel);
    const __m512i high_powers = pair_powers<Element>(scales + block * kGemmPanel + kTileSide);
    for (int64_t t = block * kBlock; t < (block + 1) * kBlock; t += 2) {
      const CodePairs pairs = load_pairs(codes + t * kGemmPanel);
      char* to = values + t / 2 * kPairBytes;
      _mm512_store_si512(to, values_of<Element>(pairs.low, low_powers));
      _mm512_store_si512(to + kTileRowBytes, values_of<Element>(pairs.high, high_powers));
    }
  }
}

// The tile registers, numbers that the instructions need literally:
//   0, 1   sums of the upper rows (features 0 to 15, 16 to 31); 2, 3 of the lower rows
//   4, 5   activations of the upper and the lower rows; 6, 7 weights of both halves
void configure(int64_t upper_rows, int64_t lower_rows) {
  const int64_t rows[kTiles] = {upper_rows, upper_rows, lower_rows, lower_rows,
                                upper_rows, lower_rows, kTileSide,  kTileSide};
  TileConfig config;
  for (int tile = 0; tile < kTiles; ++tile) config.set_rows(tile, rows[tile]);
  load_tile_config(config);
}

inline void load_sums(const float* c, bool lower) {
  _tile_loadd(0, c, kPairBytes);
  _tile_loadd(1, c + kTileSide, kPairBytes);
  if (!lower) return;
  _tile_loadd(2, c + kTileSide * kGemmPanel, kPairBytes);
  _tile_loadd(3, c + kTileSide * kGemmPanel + kTileSide, kPairBytes);
}

inline void zero_sums(bool lower) {
  _tile_zero(0);
  _tile_zero(1);
  if (!lower) return;
  _tile_zero(2);
  _tile_zero(3);
}

inline void store_sums(float* c, bool lower) {
  _tile_stored(0, c, kPairBytes);
  _tile_stored(1, c + kTileSide, kPairBytes);
  if (!lower) return;
  _tile_stored(2, c + kTileSide * kGemmPanel, kPairBytes);
  _tile_stored(3, c + kTileSide * kGemmPanel + kTileSide, kPairBytes);
}

void multiply_tiles(const char* rows, const char* panel, int64_t depth, bool lower) {
  for (int64_t block = 0; block < depth / kBlock; ++block) {
    const char* weights = panel + block * kBlock / 2 * kPairBytes;
    const char* activations = rows + block * kTileRowBytes;
    _tile_loadd(6, weights, kPairBytes);
    _tile_loadd(7, weights + kTileRowBytes, kPairBytes);
    _tile_loadd(4, activations, kRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if (!lower) continue;
    _tile_loadd(5, activations + kTileSide * kRowBytes, kRowBytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

void multiply(const void* activations, const void* panel, int64_t rows, int64_t depth,
              bool accumulate, float* c) {
  int64_t configured = 0;
  for (int64_t first = 0; first < rows; first += 2 * kTileSide) {
    const int64_t count = rows - first < 2 * kTileSide ? rows - first : 2 * kTileSide;
    const int64_t upper = count < kTileSide ? count : kTileSide;
    const bool lower = count > upper;
    if (count != configured) configure(upper, count - upper);
    configured = count;
    float* sums = c + first * kGemmPanel;
    if (accumulate) {
      load_sums(sums, lower);
    } else {
      zero_sums(lower);
    }
    multiply_tiles(static_cast<const char*>(activations) + first * kRowBytes,
                   static_cast<const char*>(panel), depth, lower);
    store_sums(sums, lower);
  }
  _tile_release();
}

template <class Element>
constexpr GemmMicroKernel kMicroKernel = {
    .row_bytes = kRowBytes,
    .decode_activation = decode_activation<Element>,
    .decode_panel = decode_panel<Element>,
    .multiply = multiply,
};

}  // namespace

const GemmMicroKernel kGemmMxAmxBf16 = kMicroKernel<E4m3>;
const GemmMicroKernel kGemmMxint8AmxBf16 = kMicroKernel<Int8>;

}  // namespace mxvideo::kernels
