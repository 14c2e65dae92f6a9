// VDPBF16PS in plain C, after the pseudocode of Intel's manual, and the numbers it has in common
// with AMX.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float emulated_flush(float value) {
  return fpclassify(value) == FP_SUBNORMAL ? copysignf(0, value) : value;
}

static inline float emulated_bf16(const unsigned char* at) {
  const uint32_t bits = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 24;
  float value;
  memcpy(&value, &bits, sizeof value);
  return emulated_flush(value);
}

static inline simde__m512 emulated_dpbf16_ps(simde__m512 sum, simde__m512i a, simde__m512i b) {
  enum { kLanes = 16 };
  float sums[kLanes];
  unsigned char x[64];
  unsigned char y[64];
  memcpy(sums, &sum, sizeof sums);
  memcpy(x, &a, sizeof x);
  memcpy(y, &b, sizeof y);
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int element = 1; element >= 0; --element) {
      const int at = 4 * lane + 2 * element;
      sums[lane] = emulated_flush(
          fmaf(emulated_bf16(x + at), emulated_bf16(y + at), emulated_flush(sums[lane])));
    }
  }
  memcpy(&sum, sums, sizeof sums);
  return sum;
}

#undef _mm512_dpbf16_ps  // SIMDe's adds in another order
#define _mm512_dpbf16_ps(sum, a, b) emulated_dpbf16_ps(sum, (simde__m512i)(a), (simde__m512i)(b))
