// gemm_mx for AMX-BF16, on operands in bf16 (bf16-inl.h).
//
// Tile: 32 activation rows x 32 features in four tile registers, which hold the sums of kGemmDepth
// elements; two more hold the activations and two the weights of 32 elements.
//
// Order of sums (Intel's pseudocode of TDPBF16PS): even and odd elements of 32 apart, each from
// zero; both together; that to the sum so far. Not timed yet on a machine with AMX; its results are
// tested on every machine through an emulation of that pseudocode.
#include <immintrin.h>

#include "kernels/common/amx-inl.h"
#include "kernels/gemm_mx/cpu/bf16-inl.h"

namespace mxvideo::kernels {
namespace {

static_assert(kTileRowBytes == kBlockBytes);
static_assert(kGemmPanel == 2 * kTileSide && kGemmRowGrain % (2 * kTileSide) == 0);

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
