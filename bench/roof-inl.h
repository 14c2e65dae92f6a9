// The loops of the roof probe over the vectors of one instruction set: the includer defines `Simd`
// in an unnamed namespace, as these functions are, so that its object defines no weak symbol.
//   Vec, kLanes, kChains   a vector of floats, its length, independent chains (registers allowing)
//   set1, load, add, multiply_add, store
// No include guard: once per ISA object. Not for any other use.

namespace mxvideo::bench {
namespace {

float first_lane(Simd::Vec v) {
  alignas(64) float lanes[Simd::kLanes];
  Simd::store(lanes, v);
  return lanes[0];
}

float multiply_add(int64_t steps) {
  constexpr int64_t kChains = Simd::kChains;
  const Simd::Vec factor = Simd::set1(0.5f);
  const Simd::Vec addend = Simd::set1(1.0f);
  Simd::Vec sum[kChains];
  MXVIDEO_UNROLL
  for (int64_t i = 0; i < kChains; ++i) sum[i] = Simd::set1(static_cast<float>(i));
  for (int64_t step = 0; step < steps; ++step) {
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kChains; ++i) sum[i] = Simd::multiply_add(sum[i], factor, addend);
  }
  MXVIDEO_UNROLL
  for (int64_t i = 1; i < kChains; ++i) sum[0] = Simd::add(sum[0], sum[i]);
  return first_lane(sum[0]);
}

float read(const float* values, int64_t count) {
  constexpr int64_t kStreams = 64 / Simd::kLanes;
  Simd::Vec sum[kStreams];
  MXVIDEO_UNROLL
  for (int64_t i = 0; i < kStreams; ++i) sum[i] = Simd::set1(0.0f);
  for (int64_t at = 0; at < count; at += 64) {
    MXVIDEO_UNROLL
    for (int64_t i = 0; i < kStreams; ++i) {
      sum[i] = Simd::add(sum[i], Simd::load(values + at + i * Simd::kLanes));
    }
  }
  MXVIDEO_UNROLL
  for (int64_t i = 1; i < kStreams; ++i) sum[0] = Simd::add(sum[0], sum[i]);
  return first_lane(sum[0]);
}

}  // namespace
}  // namespace mxvideo::bench
