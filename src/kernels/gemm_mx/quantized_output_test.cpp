// The quantized output of every row: the bits of quantize_mx() of its fp32 output.
#include <gtest/gtest.h>

#include <vector>

#include "base/parallel.h"
#include "kernels/gemm_mx/row_fixture.h"

namespace mxvideo::kernels::test {
namespace {

using formats::MxElement;
using mxvideo::test::Guarded;

class GemmMxQuantizedOutput : public GemmRowTest {
 protected:
  // `bias`, gate and epilogue as in `args`.
  void check(const Problem& p, const GemmMxArgs& args, const formats::MxOptions& options) const {
    const int64_t m = p.shape().m, n = p.shape().n;
    const Guarded y = run(p, args);
    std::vector<uint8_t> expected_codes(static_cast<size_t>(m * n));
    std::vector<uint8_t> expected_scales(static_cast<size_t>(m * n / kBlock));
    Context context;
    quantize_mx({.x = y.data(),
                 .codes = expected_codes.data(),
                 .scales = expected_scales.data(),
                 .m = m,
                 .k = n,
                 .options = options},
                context);
    std::vector<uint8_t> codes(expected_codes.size(), 0xaa), scales(expected_scales.size(), 0xaa);
    const MxPanels weight = p.packed();
    GemmMxCall quantized{args};
    quantized.x_codes = p.x_codes.data();
    quantized.x_scales = p.x_scales.data();
    quantized.weight = &weight;
    quantized.m = m;
    quantized.mx = {.codes = codes.data(), .scales = scales.data(), .options = options};
    quantized.quantize = quantize_mx_rows().back().run;
    for (const int threads : {1, 7}) {
      set_num_threads(threads);
      GetParam().row.run(quantized);
      EXPECT_EQ(codes, expected_codes) << "m " << m << " n " << n;
      EXPECT_EQ(scales, expected_scales) << "m " << m << " n " << n;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Rows, GemmMxQuantizedOutput,
                         testing::ValuesIn(test_rows(MxElement::kE4m3)),
                         [](const auto& instance) { return instance.param.name; });

TEST_P(GemmMxQuantizedOutput, IsThatOfQuantizingTheOutput) {
  uint32_t seed = 1;
  for (const Shape shape : {Shape{1, 32, 32}, {5, 64, 96}, {67, 96, 288}, {130, 544, 64}}) {
    const Problem p = Problem::random(shape, seed++);
    const std::vector<float> bias(static_cast<size_t>(shape.n), 0.75f);
    for (const MxElement element : {MxElement::kE4m3, MxElement::kInt8}) {
      check(p, {}, {.element = element});
      check(p, {.epilogue = {.kind = Epilogue::kGeluTanh, .bias = bias.data()}},
            {.element = element});
    }
  }
}

TEST_P(GemmMxQuantizedOutput, KeepsNan) {
  Problem p = Problem::random({3, 64, 64}, 9);
  p.x_scales[2] = 0xff;  // row 1
  check(p, {}, {});
}

TEST(GemmMx, QuantizesItsOutputByTheRowOfTheContext) {
  const Problem p = Problem::random({3, 64, 64}, 10);
  const MxPanels weight = p.packed();
  std::vector<uint8_t> codes(size_t{3} * 64), scales(size_t{3} * 2);
  Context context;
  context.policy.forced_rows["quantize_mx"] = "reference";
  gemm_mx({.x_codes = p.x_codes.data(),
           .x_scales = p.x_scales.data(),
           .weight = &weight,
           .mx = {.codes = codes.data(), .scales = scales.data(), .options = {}},
           .m = 3},
          context);
  EXPECT_EQ((context.choices()[{"quantize_mx", "reference"}]), 1);
}

}  // namespace
}  // namespace mxvideo::kernels::test
