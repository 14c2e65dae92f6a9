// Stands in for the compiler's <immintrin.h> where a test compiles the source of an AVX-512 or AMX
// kernel for any CPU: SIMDe under the native names, and what SIMDe 0.7.4 lacks.
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#define MXVIDEO_EMULATED_INTRINSICS  // of src/kernels/common/dot-inl.h
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>

#include "amx.h"
#include "bf16.h"

static inline __m512 emulated_mm512_cvtph_ps(__m256i half) {
  return simde_mm512_insertf32x8(
      simde_mm512_castps256_ps512(simde_mm256_cvtph_ps(simde_mm256_castsi256_si128(half))),
      simde_mm256_cvtph_ps(simde_mm256_extracti128_si256(half, 1)), 1);
}
#define _mm512_cvtph_ps emulated_mm512_cvtph_ps

// 16 numbers of another type, those that do not fit cut.
template <class To, class From, class ToVector, class FromVector>
static inline ToVector emulated_convert(FromVector vector) {
  From from[16];
  To to[16];
  static_assert(sizeof from == sizeof vector && sizeof to == sizeof(ToVector));
  memcpy(from, &vector, sizeof from);
  for (int i = 0; i < 16; ++i) to[i] = static_cast<To>(from[i]);
  ToVector result;
  memcpy(&result, to, sizeof to);
  return result;
}
#define _mm512_cvtepu8_epi32 emulated_convert<int, unsigned char, __m512i, __m128i>
#define _mm512_cvtepi16_epi32 emulated_convert<int, short, __m512i, __m256i>
#define _mm512_cvtepi32_epi16 emulated_convert<short, int, __m256i, __m512i>
#define _mm512_cvtepi32_ps emulated_convert<float, int, __m512, __m512i>

static inline unsigned int emulated_mm512_testn_epi16_mask(__m512i a, __m512i b) {
  return ~simde_mm512_test_epi16_mask(a, b);
}
#define _mm512_testn_epi16_mask emulated_mm512_testn_epi16_mask

static inline __m512i emulated_mm512_maskz_loadu_epi8(uint64_t mask, const void* from) {
  unsigned char bytes[64] = {0};
  for (int i = 0; i < 64; ++i) {
    if (mask >> i & 1) bytes[i] = ((const unsigned char*)from)[i];
  }
  return simde_mm512_loadu_si512(bytes);
}
#define _mm512_maskz_loadu_epi8 emulated_mm512_maskz_loadu_epi8

// The VEX forms of AVX-VNNI.
#define _mm256_dpbusd_avx_epi32 simde_mm256_dpbusd_epi32
#define _mm256_dpwssd_avx_epi32 simde_mm256_dpwssd_epi32
