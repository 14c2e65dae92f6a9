#include "evaluation/scheme_variant.h"

#include <gtest/gtest.h>

#include "support/test_support.h"

namespace mxvideo::evaluation {
namespace {

TEST(SchemeVariants, ListsSchemesAndRules) {
  const auto variants = parse_scheme_variants("none,mxfp8,mxfp8:floor,mxfp8:floor+int8-attention");
  ASSERT_EQ(variants.size(), 4u);
  EXPECT_EQ(variants[0].name, "none");
  EXPECT_EQ(variants[0].options.scheme, "none");
  EXPECT_EQ(variants[1].name, "mxfp8");
  EXPECT_EQ(variants[1].options.mx.scale_rule, formats::ScaleRule::kRceil);
  EXPECT_EQ(variants[2].name, "mxfp8:floor");
  EXPECT_EQ(variants[2].options.scheme, "mxfp8");
  EXPECT_EQ(variants[2].options.mx.scale_rule, formats::ScaleRule::kFloor);
  EXPECT_FALSE(variants[2].int8_attention);
  EXPECT_EQ(variants[3].name, "mxfp8:floor+int8-attention");
  EXPECT_EQ(variants[3].options.mx.scale_rule, formats::ScaleRule::kFloor);
  EXPECT_TRUE(variants[3].int8_attention);
  pipeline::PipelineOptions options;
  variants[3].apply(options);
  EXPECT_EQ(options.policy.attention, kernels::AttentionProducts::kInt8);
  EXPECT_EQ(options.quantization.scheme, "mxfp8");
}

struct BadList {
  const char* list;
  const char* message;
};

TEST(SchemeVariants, RefusesWhatItCannotRun) {
  for (const BadList& bad : {
           BadList{"", "an empty one"},
           {"none,", "an empty one"},
           {",none", "an empty one"},
           {":floor", "an empty one"},
           {"none, mxfp8",
            "unknown scheme ' mxfp8'; expected one of none, mxfp8, mxint8 or modelslim"},
           {"fp4", "unknown scheme 'fp4'; expected one of none, mxfp8, mxint8 or modelslim"},
           {"+int8-attention", "an empty one"},
           {"mxfp8+int4-attention", "unknown scheme 'mxfp8+int4-attention'"},
           {"none+int8-attention,none+int8-attention", "is listed twice"},
           {"mxfp8:", "unknown scale rule ''"},
           {"mxfp8:round", "unknown scale rule 'round'; known: rceil, floor, ceil, even"},
           {"none:floor", "'none' has no block scales"},
           {"mxfp8,none,mxfp8", "'mxfp8' is listed twice"},
           {"mxfp8,mxfp8:rceil", "'mxfp8' and 'mxfp8:rceil' are the same"},
       }) {
    const Error error = test::expect_error([&] { parse_scheme_variants(bad.list); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << bad.list;
    EXPECT_NE(std::string(error.what()).find(bad.message), std::string::npos)
        << bad.list << ": " << error.what();
  }
}

}  // namespace
}  // namespace mxvideo::evaluation
