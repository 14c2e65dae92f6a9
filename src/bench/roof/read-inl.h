// The loop of the read probe over the float vectors of one instruction set: `Floats` with Vec,
// kLanes, zero(), load(p), join(a, b), first(v), in an unnamed namespace as in roof-inl.h.

#include "bench/roof/roof_kernels.h"
#include "kernels/common/unroll.h"

namespace mxvideo::bench {
namespace {

template <class Floats>
float read_all(const float* values, int64_t count) {
  constexpr int64_t kStreams = 64 / Floats::kLanes;
  typename Floats::Vec sum[kStreams];
  MXVIDEO_UNROLL
  for (int64_t i = 0; i < kStreams; ++i) sum[i] = Floats::zero();
  for (int64_t at = 0; at < count; at += 64) {
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kStreams; ++i) {
      sum[i] = Floats::join(sum[i], Floats::load(values + at + i * Floats::kLanes));
    }
  }
  MXVIDEO_UNROLL
  for (int64_t i = 1; i < kStreams; ++i) sum[0] = Floats::join(sum[0], sum[i]);
  return Floats::first(sum[0]);
}

}  // namespace
}  // namespace mxvideo::bench
