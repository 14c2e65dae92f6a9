// The loops of the roof probe over the vectors of one unit. A `Unit` is a struct in an unnamed
// namespace, as these functions are, so that their instances are no weak symbols:
//   Vec, kOperations        a vector; operations of one step of one chain
//   kChains                 independent chains, as many as the registers allow
//   start(i), first(v)      a vector to begin with (i >= 3: from 2, x/2 + 1 would be a constant);
//                           the first element as a float
//   step(sum), join(a, b)   the instruction under test; any sum of two vectors
// No include guard: once per ISA object. Not for any other use.

#include "bench/roof/roof_kernels.h"
#include "kernels/common/unroll.h"

namespace mxvideo::bench {
namespace {

template <class Unit>
float run_chains(int64_t steps) {
  constexpr int64_t kChains = Unit::kChains;
  typename Unit::Vec sum[kChains];
  MXVIDEO_UNROLL
  for (int64_t i = 0; i < kChains; ++i) sum[i] = Unit::start(i + 3);
  for (int64_t step = 0; step < steps; ++step) {
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kChains; ++i) sum[i] = Unit::step(sum[i]);
  }
  MXVIDEO_UNROLL
  for (int64_t i = 1; i < kChains; ++i) sum[0] = Unit::join(sum[0], sum[i]);
  return Unit::first(sum[0]);
}

template <class Unit>
constexpr RoofKernel roof_kernel() {
  return {.operations_per_step = Unit::kOperations * Unit::kChains, .run = run_chains<Unit>};
}

}  // namespace
}  // namespace mxvideo::bench
