// Every row of the table that takes MXINT8, and those of few machines emulated. Elements are
// integers already: every row is as exact as fp32's sums.
#include <gtest/gtest.h>

#include <cmath>

#include "base/parallel.h"
#include "kernels/gemm_mx/row_fixture.h"

namespace mxvideo::kernels::test {
namespace {

using formats::MxElement;
using mxvideo::test::Guarded;

class GemmMxint8Row : public GemmRowTest {};

INSTANTIATE_TEST_SUITE_P(Rows, GemmMxint8Row, testing::ValuesIn(test_rows(MxElement::kInt8)),
                         [](const auto& instance) { return instance.param.name; });

TEST_P(GemmMxint8Row, RandomInputsStayInTheBound) {
  std::vector<Shape> shapes = tail_shapes();
  shapes.push_back({3, 5, 3072});
  uint32_t seed = 200;
  for (const Shape& shape : shapes) {
    const Problem p = Problem::random_int8(shape, seed++);
    const Guarded y = run(p);
    for (int64_t i = 0; i < y.count(); ++i) {
      const ExactSum sum = p.exact_sum(i / shape.n, i % shape.n);
      ASSERT_NEAR(y[i], sum.value, bound(shape, sum, 0))
          << "m " << shape.m << " n " << shape.n << " k " << shape.k << " at " << i;
    }
  }
}

// Output j is element j of the only row, which has every code.
TEST_P(GemmMxint8Row, EveryCodeIsExact) {
  Problem p({1, 256, 256}, MxElement::kInt8);
  for (size_t i = 0; i < 256; ++i) {
    p.x_codes[i] = static_cast<uint8_t>(i);
    p.w_codes[i * 256 + i] = 64;  // 1
  }
  p.x_scales[3] = 120;
  const Guarded y = run(p);
  for (int64_t j = 0; j < 256; ++j) {
    const double scale = j / kBlock == 3 ? 0x1p-7 : 1;
    ASSERT_EQ(y[j], static_cast<int8_t>(j) / 64.0 * scale) << j;
  }
}

TEST_P(GemmMxint8Row, NanScaleMakesItsRowNan) {
  Problem p = Problem::random_int8({4, 6, 64}, 5);
  p.x_scales[3] = 255;
  const Guarded y = run(p);
  for (int64_t i = 0; i < y.count(); ++i) ASSERT_EQ(std::isnan(y[i]), i / 6 == 1) << i;
}

TEST_P(GemmMxint8Row, SameBitsForAnyThreadCountAndEveryIntegerRow) {
  for (const Shape& shape : {Shape{1, 200, 320}, {8, 65, 320}, {230, 130, 288}}) {
    const Problem p = Problem::random_int8(shape, 6);
    set_num_threads(1);
    const Guarded one = run(p);
    for (const int threads : {2, 7}) {
      set_num_threads(threads);
      expect_same_bits(one, run(p));
    }
    if (GetParam().kind != Kind::kInt16 && GetParam().kind != Kind::kInt8) continue;
    const MxPanels weight = p.packed();
    Guarded emulated(shape.m * shape.n);
    run_gemm_mx_blocked({{.x_codes = p.x_codes.data(),
                          .x_scales = p.x_scales.data(),
                          .weight = &weight,
                          .y = emulated.data(),
                          .m = shape.m}},
                        emulated_int16(MxElement::kInt8));
    expect_same_bits(one, emulated);
  }
}

// The tables of elements that rows do not take.
TEST(GemmMxint8Table, RowsDeclineTheOtherElement) {
  const Problem e4m3 = Problem::random({1, 1, 32}, 22);
  const Problem int8 = Problem::random_int8({1, 1, 32}, 22);
  int checked = 0;
  for (const MxElement element : {MxElement::kE4m3, MxElement::kInt8}) {
    const Problem& p = element == MxElement::kInt8 ? int8 : e4m3;
    const MxPanels weight = p.packed();
    for (const TestRow& row :
         test_rows(element == MxElement::kInt8 ? MxElement::kE4m3 : MxElement::kInt8)) {
      const bool rejects = refuses(
          row.row,
          {.x_codes = p.x_codes.data(), .x_scales = p.x_scales.data(), .weight = &weight, .m = 1});
      EXPECT_EQ(rejects, !row.takes(element)) << row.name;
      ++checked;
    }
  }
  EXPECT_GT(checked, 8);
}

}  // namespace
}  // namespace mxvideo::kernels::test
