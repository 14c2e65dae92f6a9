#include <gtest/gtest.h>

#include <limits>

#include "kernels/common/test_rows.h"
#include "kernels/sampler/guidance.h"
#include "kernels/sampler/non_finite.h"
#include "kernels/sampler/unipc_step.h"

namespace mxvideo::kernels {
namespace {

using test::Guarded;

// Expected values: by hand. The last one shows a rounding between product and sum: fused, it would
// keep 2^-24.
TEST(Guidance, MovesAwayFromTheUnconditional) {
  const std::vector<float> cond = {3, -1, 0, 0x1p-12f};
  const std::vector<float> uncond = {1, -1, 4, -1};
  const std::vector<float> expected = {1 + (1 + 0x1p-12f) * 2, -1, 4 - (1 + 0x1p-12f) * 4,
                                       0x1p-11f};
  test::sweep(
      {"guidance", "reference"},
      [&](Context& context) {
        Guarded y(4);
        std::vector<float> over = cond;
        GuidanceArgs args = {.cond = cond.data(),
                             .uncond = uncond.data(),
                             .y = y.data(),
                             .count = 4,
                             .scale = 1 + 0x1p-12f};
        guidance(args, context);
        args.cond = args.y = over.data();
        guidance(args, context);
        EXPECT_TRUE(y.intact());
        EXPECT_EQ(over, std::vector<float>(y.values().begin(), y.values().end()));
        return over;
      },
      [&](std::span<const float> y) {
        EXPECT_EQ(std::vector<float>(y.begin(), y.end()), expected);
      });
}

// Every intermediate of these is exact in fp32, so that the formulas in double give the bits.
class UniPcStep : public testing::TestWithParam<std::tuple<bool, int, int>> {};

TEST_P(UniPcStep, FollowsTheFormulas) {
  const auto [correct, corrector_order, predictor_order] = GetParam();
  const UniPcCoefficients c = {.order = corrector_order,
                               .sample_scale = 0.5f,
                               .model_scale = -0.25f,
                               .residual_scale = -0.75f,
                               .lambda_ratio = -0.5f,
                               .older_weight = 1.5f,
                               .newer_weight = 0.5f};
  const UniPcCoefficients p = {.order = predictor_order,
                               .sample_scale = 0.25f,
                               .model_scale = -0.5f,
                               .residual_scale = 1.25f,
                               .lambda_ratio = 2,
                               .older_weight = 0.5f};
  constexpr double kSigma = 0.75;
  const int64_t count = 40007;
  // Small integers.
  const auto values = [&](int64_t factor) {
    std::vector<float> result;
    for (int64_t i = 0; i < count; ++i) result.push_back(static_cast<float>(i * factor % 31 - 15));
    return result;
  };
  const std::vector<float> v = values(3), x = values(5), s = values(7), m = values(11),
                           older = values(13);
  std::vector<float> next, corrected, x0;
  for (size_t i = 0; i < v.size(); ++i) {
    const double clean = x[i] - kSigma * v[i];
    double residual = 0.5 * (clean - m[i]);
    if (corrector_order == 2) residual += 1.5 * ((double{older[i]} - m[i]) / -0.5);
    const double xc = correct ? 0.5 * s[i] + 0.25 * m[i] + 0.75 * residual : x[i];
    double prediction = 0.25 * xc + 0.5 * clean;
    if (predictor_order == 2) prediction -= 1.25 * (0.5 * ((m[i] - clean) / 2));
    x0.push_back(static_cast<float>(clean));
    corrected.push_back(static_cast<float>(xc));
    next.push_back(static_cast<float>(prediction));
    ASSERT_EQ(next.back(), prediction);
  }
  test::sweep(
      {"unipc_step", "reference"},
      [&](Context& context) {
        Guarded sample{std::span<const float>(x)}, last{std::span<const float>(s)};
        Guarded newest{std::span<const float>(m)}, oldest{std::span<const float>(older)};
        unipc_step({.v = v.data(),
                    .x = sample.data(),
                    .last_sample = last.data(),
                    .newer_x0 = newest.data(),
                    .older_x0 = oldest.data(),
                    .count = count,
                    .sigma = static_cast<float>(kSigma),
                    .correct = correct,
                    .corrector = c,
                    .predictor = p},
                   context);
        std::vector<float> all;
        for (const Guarded* part : {&sample, &last, &newest, &oldest}) {
          EXPECT_TRUE(part->intact());
          all.insert(all.end(), part->values().begin(), part->values().end());
        }
        return all;
      },
      [&](std::span<const float> all) {
        std::vector<float> expected = next;
        for (const std::vector<float>* part :
             std::initializer_list<const std::vector<float>*>{&corrected, &x0, &m}) {
          expected.insert(expected.end(), part->begin(), part->end());
        }
        EXPECT_EQ(std::vector<float>(all.begin(), all.end()), expected);
      });
}

INSTANTIATE_TEST_SUITE_P(Orders, UniPcStep,
                         testing::Combine(testing::Bool(), testing::Values(1, 2),
                                          testing::Values(1, 2)));

TEST(NonFinite, FindsOneBadValueAnywhere) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float largest = std::numeric_limits<float>::max();
  for (const int64_t count : {0, 1, 1000, 50001}) {
    const auto verdict = [&](int64_t where, float value) {
      std::vector<float> x(static_cast<size_t>(count), -largest);
      if (where >= 0) x[static_cast<size_t>(where)] = value;
      float found = -1;
      test::sweep(
          {"non_finite", "reference"},
          [&](Context& context) {
            int32_t words[3] = {7, 7, 7};
            non_finite({.x = x.data(), .count = count, .found = words + 1}, context);
            EXPECT_EQ(words[0], 7);
            EXPECT_EQ(words[2], 7);
            return std::vector<float>{static_cast<float>(words[1])};
          },
          [&](std::span<const float> y) { found = y[0]; });
      return found;
    };
    EXPECT_EQ(verdict(-1, 0), 0) << count;
    if (count == 0) continue;
    for (const int64_t where : {int64_t{0}, count / 2, count - 1}) {
      for (const float bad : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) {
        EXPECT_EQ(verdict(where, bad), 1) << count << " values, " << bad << " at " << where;
      }
      EXPECT_EQ(verdict(where, std::numeric_limits<float>::denorm_min()), 0);
    }
  }
}

}  // namespace
}  // namespace mxvideo::kernels
