#include "kernels/layout/channel_affine.h"

#include <gtest/gtest.h>

#include "kernels/common/test_rows.h"

namespace mxvideo::kernels {
namespace {

// Expected values: by hand, exact.
TEST(ChannelAffine, NormalizesAndBack) {
  const std::vector<float> raw = {1, 3, 5, -2, 0, 6, 10, 10, 11};
  const std::vector<float> normal = {0, 4, 8, -1.5f, -0.5f, 2.5f, 0, 0, 0.25f};
  const std::vector<float> mean = {1, 1, 10};
  const std::vector<float> deviation = {0.5f, 2, 4};
  const auto check = [&](ChannelAffineOp op, const std::vector<float>& x,
                         const std::vector<float>& expected) {
    test::sweep(
        {"channel_affine", "reference"},
        [&](Context& context) {
          test::Guarded y(9);
          std::vector<float> in_place = x;
          ChannelAffineArgs args = {.op = op,
                                    .x = x.data(),
                                    .y = y.data(),
                                    .per_channel = 3,
                                    .mean = mean,
                                    .deviation = deviation};
          channel_affine(args, context);
          args.x = args.y = in_place.data();
          channel_affine(args, context);
          EXPECT_TRUE(y.intact());
          EXPECT_EQ(in_place, std::vector<float>(y.values().begin(), y.values().end()));
          return in_place;
        },
        [&](std::span<const float> y) {
          EXPECT_EQ(std::vector<float>(y.begin(), y.end()), expected);
        });
  };
  check(ChannelAffineOp::kNormalize, raw, normal);
  check(ChannelAffineOp::kDenormalize, normal, raw);
}

// A division, not a product with the reciprocal; two roundings, not one.
TEST(ChannelAffine, RoundsAfterEachOperation) {
  Context context;
  const float x[] = {41, 1 + 0x1p-12f};
  float y[2] = {};
  channel_affine({.x = x, .y = y, .per_channel = 1, .mean = {0, 0}, .deviation = {41, 41}},
                 context);
  EXPECT_EQ(y[0], 1);
  EXPECT_NE(x[0] * (1.0f / 41), 1);  // so that the case means something
  channel_affine({.op = ChannelAffineOp::kDenormalize,
                  .x = x,
                  .y = y,
                  .per_channel = 1,
                  .mean = {0, -1},
                  .deviation = {1, 1 + 0x1p-12f}},
                 context);
  EXPECT_EQ(y[1], 0x1p-11f);  // one rounding would keep 2^-24
}

}  // namespace
}  // namespace mxvideo::kernels
