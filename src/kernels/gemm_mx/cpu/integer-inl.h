// What the integer sources of gemm_mx share.
//
// Idea of all: in units of 2^-4 of its scale an E4M3 element is an integer of at most 7,168 (7,680
// for the NaN code), so that the 32 products of a block fit int32; an INT8 element is an integer as
// it is. An integer multiply-add of pairs takes twice as many elements as an fp32 FMA. The block's
// sum is converted and multiplied by both scales.
//
// Decoding E4M3: the four exponent bits select a power of two from a table, which multiplies the
// significand with rounding (PMULHRSW).
#pragma once

#include <immintrin.h>

#include "kernels/common/unroll.h"
#include "kernels/gemm_mx/cpu/micro_kernel.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kBlock = 32;          // elements that share a scale
constexpr int64_t kPairs = kBlock / 2;  // of elements, multiplied by one instruction
constexpr int64_t kBlocks = kGemmDepth / kBlock;

// A decoded row: [kGemmDepth] int16, then a factor for each block.
constexpr int64_t kRowValueBytes = kGemmDepth * 2;
constexpr int64_t kRowBytes = kRowValueBytes + 64;
static_assert(kBlocks * 4 <= 64 && kRowBytes <= kGemmRowBytes);

inline __m256i load(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

inline void store(__m256i values, void* to) {
  _mm256_store_si256(static_cast<__m256i*>(to), values);
}

// The element formats: the unit of their integers is 2^kExponent times the scale.
struct E4m3 {
  static constexpr int kExponent = -4;
  static bool has_nan(__m256i codes) {
    const __m256i magnitude = _mm256_set1_epi8(0x7f);
    const __m256i nan = _mm256_cmpeq_epi8(_mm256_and_si256(codes, magnitude), magnitude);
    return _mm256_movemask_epi8(nan) != 0;
  }
};
struct Int8 {
  static constexpr int kExponent = -6;
  static bool has_nan(__m256i /*codes*/) { return false; }
};

// The four bytes of a decoded row that one instruction broadcasts: two int16 or four int8.
inline int group_at(const char* row, int64_t group) {
  int bits;
  __builtin_memcpy(&bits, row + group * 4, 4);
  return bits;
}

}  // namespace
}  // namespace mxvideo::kernels
