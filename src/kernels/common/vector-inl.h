// Small tools for the Highway rows: partial vectors, 16-bit weights. Included once per
// target (hence the toggle instead of #pragma once); see foreach_target.h of Highway.
#if defined(MXVIDEO_KERNELS_COMMON_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MXVIDEO_KERNELS_COMMON_VECTOR_INL_H_
#undef MXVIDEO_KERNELS_COMMON_VECTOR_INL_H_
#else
#define MXVIDEO_KERNELS_COMMON_VECTOR_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"
#include "kernels/common/unroll.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::ScalableTag<float>;
using FloatVec = hn::Vec<FloatTag>;

HWY_INLINE constexpr int64_t lanes() { return static_cast<int64_t>(hn::MaxLanes(FloatTag())); }

// Rows of a register tile two vectors wide: its sums, two vectors and a broadcast fill the register
// file.
#if HWY_MAX_BYTES >= 64
constexpr int64_t kTileRows = 12;
#else
constexpr int64_t kTileRows = 6;
#endif

// The first `count` < lanes() floats at p; zeros above. Reads nothing else.
HWY_INLINE FloatVec load_partial(const float* p, int64_t count) {
  const FloatTag d;
  HWY_ALIGN float buffer[hn::MaxLanes(FloatTag())] = {};
  for (int64_t i = 0; i < count; ++i) buffer[i] = p[i];
  return hn::Load(d, buffer);
}

// Stores the first `count` < lanes() lanes and writes nothing else.
HWY_INLINE void store_partial(FloatVec v, float* p, int64_t count) {
  const FloatTag d;
  HWY_ALIGN float buffer[hn::MaxLanes(FloatTag())];
  hn::Store(v, d, buffer);
  for (int64_t i = 0; i < count; ++i) p[i] = buffer[i];
}

// Sum of all lanes as a scalar; the order depends on the vector length only.
HWY_INLINE float sum_lanes(FloatVec v) {
  const FloatTag d;
  return hn::GetLane(hn::SumOfLanes(d, v));
}

}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
