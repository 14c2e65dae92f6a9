// The tile registers of AMX and TDPBF16PS in plain C, after the pseudocode of Intel's manual: one
// set of tiles per thread. Numbers of tiles may be any expression here.
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bf16.h"

enum { kEmulatedTiles = 8, kEmulatedTileRows = 16, kEmulatedTileRowBytes = 64 };

typedef struct EmulatedTile {
  int rows;
  int row_bytes;
  unsigned char bytes[kEmulatedTileRows][kEmulatedTileRowBytes];
} EmulatedTile;

static __thread EmulatedTile emulated_tiles[kEmulatedTiles];

// Unlike the processor, which raises #GP or #UD, names what is wrong.
static inline void emulated_tile_check(int right, const char* what) {
  if (right) return;
  fprintf(stderr, "emulated AMX: %s\n", what);
  abort();
}

static inline void emulated_tile_loadconfig(const void* config) {
  const unsigned char* bytes = (const unsigned char*)config;
  emulated_tile_check(bytes[0] == 1, "palette 1 expected");
  for (int i = 1; i < 16; ++i) emulated_tile_check(bytes[i] == 0, "reserved bytes are not zero");
  for (int tile = 0; tile < kEmulatedTiles; ++tile) {
    EmulatedTile* to = &emulated_tiles[tile];
    memset(to, 0, sizeof *to);
    to->row_bytes = bytes[16 + 2 * tile] + 256 * bytes[17 + 2 * tile];
    to->rows = bytes[48 + tile];
    emulated_tile_check(to->row_bytes <= kEmulatedTileRowBytes && to->rows <= kEmulatedTileRows,
                        "a tile is too large");
    emulated_tile_check((to->row_bytes == 0) == (to->rows == 0), "a tile has one size of zero");
  }
}

static inline void emulated_tile_release(void) { memset(emulated_tiles, 0, sizeof emulated_tiles); }

static inline EmulatedTile* emulated_tile(int tile) {
  emulated_tile_check(emulated_tiles[tile].rows > 0, "a tile is not configured");
  return &emulated_tiles[tile];
}

static inline void emulated_tile_zero(int tile) {
  memset(emulated_tile(tile)->bytes, 0, sizeof emulated_tiles[tile].bytes);
}

static inline void emulated_tile_loadd(int tile, const void* from, int64_t stride) {
  EmulatedTile* to = emulated_tile(tile);
  memset(to->bytes, 0, sizeof to->bytes);
  for (int row = 0; row < to->rows; ++row) {
    memcpy(to->bytes[row], (const char*)from + row * stride, (size_t)to->row_bytes);
  }
}

static inline void emulated_tile_stored(int tile, void* to, int64_t stride) {
  const EmulatedTile* from = emulated_tile(tile);
  for (int row = 0; row < from->rows; ++row) {
    memcpy((char*)to + row * stride, from->bytes[row], (size_t)from->row_bytes);
  }
}

static inline float* emulated_fp32(EmulatedTile* tile, int row, int column) {
  return (float*)(void*)(tile->bytes[row] + 4 * column);
}

static inline void emulated_tile_dpbf16ps(int sums, int left, int right) {
  EmulatedTile* c = emulated_tile(sums);
  const EmulatedTile* a = emulated_tile(left);
  const EmulatedTile* b = emulated_tile(right);
  emulated_tile_check(
      c->rows == a->rows && c->row_bytes == b->row_bytes && a->row_bytes == 4 * b->rows,
      "tiles of a product do not match");
  for (int row = 0; row < c->rows; ++row) {
    for (int column = 0; column < c->row_bytes / 4; ++column) {
      float even = 0, odd = 0;
      for (int k = 0; k < a->row_bytes / 4; ++k) {
        const unsigned char* x = a->bytes[row] + 4 * k;
        const unsigned char* y = b->bytes[k] + 4 * column;
        even = emulated_flush(fmaf(emulated_bf16(x), emulated_bf16(y), even));
        odd = emulated_flush(fmaf(emulated_bf16(x + 2), emulated_bf16(y + 2), odd));
      }
      float* sum = emulated_fp32(c, row, column);
      *sum = emulated_flush(emulated_flush(*sum) + emulated_flush(even + odd));
    }
  }
}

#define _tile_loadconfig emulated_tile_loadconfig
#define _tile_release emulated_tile_release
#define _tile_zero emulated_tile_zero
#define _tile_loadd emulated_tile_loadd
#define _tile_stored emulated_tile_stored
#define _tile_dpbf16ps emulated_tile_dpbf16ps
