// De-interleaves a vector of pairs, rotates it, interleaves it again. The angles of one vector of
// pairs stay in registers for all heads of a row.
#include "kernels/rope/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rope/cpu/highway.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "kernels/common/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

void rotate_vector(FloatVec cos, FloatVec sin, float* pairs) {
  const FloatTag d;
  FloatVec a;
  FloatVec b;
  hn::LoadInterleaved2(d, pairs, a, b);
  const FloatVec first = hn::MulSub(a, cos, hn::Mul(b, sin));
  const FloatVec second = hn::MulAdd(a, sin, hn::Mul(b, cos));
  hn::StoreInterleaved2(first, second, d, pairs);
}

void rope_rows_kernel(const RopeArgs& args) {
  const FloatTag d;
  const int64_t pairs = args.head_dim / 2;
  for (int64_t row = 0; row < args.rows; ++row) {
    float* x = args.x + row * args.heads * args.head_dim;
    const float* cos = args.cos + row * pairs;
    const float* sin = args.sin + row * pairs;
    int64_t j = 0;
    for (; j + lanes() <= pairs; j += lanes()) {
      const FloatVec c = hn::LoadU(d, cos + j);
      const FloatVec s = hn::LoadU(d, sin + j);
      for (int64_t head = 0; head < args.heads; ++head) {
        rotate_vector(c, s, x + head * args.head_dim + 2 * j);
      }
    }
    const int64_t rest = pairs - j;
    if (rest == 0) continue;
    const FloatVec c = load_partial(cos + j, rest);
    const FloatVec s = load_partial(sin + j, rest);
    for (int64_t head = 0; head < args.heads; ++head) {
      float* tail = x + head * args.head_dim + 2 * j;
      float buffer[2 * hn::MaxLanes(FloatTag())] = {};
      for (int64_t i = 0; i < 2 * rest; ++i) buffer[i] = tail[i];
      rotate_vector(c, s, buffer);
      for (int64_t i = 0; i < 2 * rest; ++i) tail[i] = buffer[i];
    }
  }
}

}  // namespace
}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::kernels {

HWY_EXPORT(rope_rows_kernel);

void rope_highway(const RopeArgs& args) noexcept { HWY_DYNAMIC_DISPATCH(rope_rows_kernel)(args); }

}  // namespace mxvideo::kernels
#endif  // HWY_ONCE
