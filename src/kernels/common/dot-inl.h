// The dot-product instructions of AVX-512 VNNI, AVX-VNNI and AVX512-BF16, for ISA files: to each
// 32-bit lane of `sum` they add the products of the bytes, int16 or bf16 numbers in that lane of
// both operands.
//
// With GCC they are assembly: version 12 copies and spills the sum of such an intrinsic around the
// instruction, which more than halves the speed of a tile of them. Clang, and a test's emulation,
// take the intrinsics.
#pragma once

#include <immintrin.h>

#if defined(__GNUC__) && !defined(__clang__) && !defined(MXVIDEO_EMULATED_INTRINSICS)
#define MXVIDEO_DOT_ASSEMBLY 1
#endif

namespace mxvideo::kernels {
namespace {

#if defined(__AVX512VNNI__) || defined(MXVIDEO_EMULATED_INTRINSICS)

// `unsigneds`: uint8; `signeds`: int8. The four products and the sum must fit int32.
inline __m512i add_byte_products(__m512i sum, __m512i unsigneds, __m512i signeds) {
#ifdef MXVIDEO_DOT_ASSEMBLY
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(unsigneds), "vm"(signeds));
  return sum;
#else
  return _mm512_dpbusd_epi32(sum, unsigneds, signeds);
#endif
}

inline __m512i add_word_products(__m512i sum, __m512i a, __m512i b) {
#ifdef MXVIDEO_DOT_ASSEMBLY
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "vm"(b));
  return sum;
#else
  return _mm512_dpwssd_epi32(sum, a, b);
#endif
}

#endif

#if defined(__AVX512BF16__) || defined(MXVIDEO_EMULATED_INTRINSICS)

// The second pair of numbers, then the first, each by one FMA; subnormals count as zero.
inline __m512 add_bf16_products(__m512 sum, __m512i a, __m512i b) {
#ifdef MXVIDEO_DOT_ASSEMBLY
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "vm"(b));
  return sum;
#else
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
#endif
}

#endif

#if defined(__AVXVNNI__) || defined(MXVIDEO_EMULATED_INTRINSICS)

inline __m256i add_byte_products(__m256i sum, __m256i unsigneds, __m256i signeds) {
#ifdef MXVIDEO_DOT_ASSEMBLY
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(unsigneds), "xm"(signeds));
  return sum;
#else
  return _mm256_dpbusd_avx_epi32(sum, unsigneds, signeds);
#endif
}

inline __m256i add_word_products(__m256i sum, __m256i a, __m256i b) {
#ifdef MXVIDEO_DOT_ASSEMBLY
  asm("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(a), "xm"(b));
  return sum;
#else
  return _mm256_dpwssd_avx_epi32(sum, a, b);
#endif
}

#endif

}  // namespace
}  // namespace mxvideo::kernels
