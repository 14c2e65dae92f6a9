// The form of rows, and what they state without a clock: operations, units, classes.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/text/field.h"
#include "bench/attention_bench.h"
#include "bench/bench_test_support.h"
#include "bench/gemm_bench.h"
#include "bench/kernel_clock.h"
#include "bench/model/step_bench.h"
#include "support/golden_file.h"
#include "synthetic/model_preset.h"

namespace mxvideo::bench {
namespace {

std::vector<std::string> fields_of(const Json& json) {
  std::vector<std::string> fields;
  for (const auto& [field, value] : json.items()) fields.push_back(field);
  return fields;
}

GemmRow gemm_row() {
  return {.op = "gemm_mx",
          .scheme = "mxfp8",
          .kernel = "avx512",
          .problem = {.layer = "ti2v_5b/attn", .m = 1000, .k = 2000, .n = 3000},
          .threads = 2,
          .state = {}};
}

TEST(RowsTest, GemmRowsHaveThePublishedForm) {
  GemmRow row = gemm_row();
  row.seconds = 0.5;
  row.rival_seconds = {1.0, 0, 0.25};
  const Json json = gemm_row_json(row);
  EXPECT_EQ(fields_of(json),
            (std::vector<std::string>{"op", "scheme", "compute", "kernel", "m", "k", "n", "threads",
                                      "seconds_median", "gflops", "roof", "roof_fraction",
                                      "ratio_onednn_f32", "ratio_onednn_bf16", "ratio_onednn_int8",
                                      "layer", "status"}));
  EXPECT_EQ(json["op"], "gemm_mx");
  EXPECT_EQ(json["compute"], "exact");
  EXPECT_EQ(json["m"], 1000);
  EXPECT_EQ(json["k"], 2000);
  EXPECT_EQ(json["n"], 3000);
  EXPECT_EQ(json["roof"], "fp32_fma");
  EXPECT_DOUBLE_EQ(json["gflops"].get<double>(), 24.0);
  EXPECT_DOUBLE_EQ(json["ratio_onednn_f32"].get<double>(), 2.0);
  EXPECT_EQ(json["ratio_onednn_bf16"], nullptr);
  EXPECT_DOUBLE_EQ(json["ratio_onednn_int8"].get<double>(), 0.5);
  EXPECT_EQ(json["status"], "measured");
}

TEST(RowsTest, RowsThatDidNotRunHaveNoFigures) {
  GemmRow row = gemm_row();
  row.rival_seconds = {1.0, 1.0, 1.0};
  row.state = {.status = RowStatus::kNotRun, .reason = "this CPU lacks avx512"};
  const Json json = gemm_row_json(row);
  for (const char* field : {"seconds_median", "gflops", "roof_fraction", "ratio_onednn_f32",
                            "ratio_onednn_bf16", "ratio_onednn_int8"}) {
    EXPECT_EQ(json[field], nullptr) << field;
  }
  EXPECT_EQ(json["roof"], "fp32_fma");
  EXPECT_EQ(json["status"], "compiled, not run");
  EXPECT_EQ(json["reason"], "this CPU lacks avx512");
}

TEST(RowsTest, AttentionCountsBothProducts) {
  const Json json = attention_row_json({.layer = "cross",
                                        .kernel = "highway",
                                        .q_length = 1000,
                                        .kv_length = 500,
                                        .heads = 10,
                                        .head_dim = 100,
                                        .threads = 1,
                                        .state = {},
                                        .seconds = 2.0,
                                        .peak_rss_bytes = 77});
  EXPECT_DOUBLE_EQ(json["gflops"].get<double>(), 1.0);
  EXPECT_EQ(json["peak_rss_bytes"], 77);
  EXPECT_EQ(json["op"], "attention");
  EXPECT_EQ(json["roof"], "fp32_fma");
  EXPECT_EQ(json["sqnr_db"], nullptr);
}

TEST(RowsTest, AttentionInIntegersHasAnErrorAndTheRoofOfItsUnit) {
  const Json json = attention_row_json({.products = kernels::AttentionProducts::kInt8,
                                        .layer = "self",
                                        .kernel = "highway_int16",
                                        .state = {},
                                        .seconds = 2.0,
                                        .sqnr_db = 50});
  EXPECT_EQ(json["op"], "attention_int8");
  EXPECT_EQ(json["roof"], "int16_madd");
  EXPECT_EQ(json["sqnr_db"], 50);
}

TEST(RowsTest, TheReferenceIsLeftOutWhereItIsSlowUnlessAskedFor) {
  EXPECT_EQ(without_slow_reference({}, "reference", 2e8, "").status, RowStatus::kLeftOut);
  EXPECT_EQ(without_slow_reference({}, "reference", 1e7, "").status, RowStatus::kMeasured);
  EXPECT_EQ(without_slow_reference({}, "reference", 2e8, "reference").status, RowStatus::kMeasured);
  EXPECT_EQ(without_slow_reference({}, "avx2", 2e8, "").status, RowStatus::kMeasured);
}

TEST(RowsTest, EveryRowOfTheProductsHasAUnit) {
  for (const kernels::OpInfo& op : kernels::registered_ops()) {
    if (class_of_op(op.name) != "gemm" && class_of_op(op.name) != "attention") continue;
    for (const kernels::RowInfo& row : op.rows) {
      if (row.device != DeviceKind::kCpu) continue;
      EXPECT_NE(unit_of_row(row.name), nullptr) << op.name << " " << row.name;
    }
  }
  EXPECT_EQ(unit_of_row("abacus"), nullptr);
}

TEST(RowsTest, OpsHaveTheClassesOfTheirWork) {
  for (const kernels::OpInfo& op : kernels::registered_ops()) {
    const std::string_view found = class_of_op(op.name);
    const bool product = op.name == "matmul" || op.name.starts_with("gemm");
    EXPECT_EQ(found == "gemm", product) << op.name;
    EXPECT_EQ(found == "attention", op.name.starts_with("attention"));
    EXPECT_NE(std::ranges::find(kKernelClasses, found), kKernelClasses.end());
  }
  EXPECT_EQ(class_of_op("quantize_mx"), "quantize");
}

TEST(RowsTest, SharesAreOfTheTimeBetweenStartAndStop) {
  KernelClock clock;
  EXPECT_EQ(clock.shares().at("rest"), 0);
  clock.start();
  clock.enter("gemm");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  clock.enter("attention");
  clock.enter("gemm");  // adds to the first
  clock.stop();
  double sum = 0;
  for (const auto& [name, share] : clock.shares()) sum += share;
  EXPECT_NEAR(sum, 1.0, 1e-12);
  EXPECT_GT(clock.shares().at("gemm"), clock.shares().at("attention"));
  EXPECT_GT(clock.shares().at("gemm"), clock.shares().at("rest"));
  EXPECT_EQ(clock.shares().at("quantize"), 0);
}

// Every product of the forward written out: 4 blocks, 780 tokens, 512 rows of text, whose own
// products are made once per prompt.
TEST(RowsTest, ForwardOperationsAreThoseOfItsProducts) {
  auto json = synthetic::model_preset("ti2v-5b", "full").transformer;
  json["num_layers"] = 4;
  const auto config = models::WanTransformerConfig::from_json(json, "preset");
  const auto product = [](double m, double k, double n) { return 2 * m * k * n; };
  const double t = 780, r = 512, d = 3072, f = 14336;
  double block = 6 * product(t, d, d);  // q, k, v, out; q and out of the cross attention
  block += product(t, d, f) + product(t, f, d);
  for (int head = 0; head < 24; ++head) {
    block += product(t, 128, t) + product(t, t, 128) + product(t, 128, r) + product(t, r, 128);
  }
  const double time = product(1, 256, d) + product(1, d, d) + product(1, d, 6 * d);
  const double ends = product(t, 48 * 4, d) + product(t, d, 48 * 4);
  EXPECT_DOUBLE_EQ(forward_flops(config, 780, 512), 4 * block + time + ends);
}

TEST(RowsTest, AStepCountsTheRowsOfItsPrompt) {
  for (const auto& [text_tokens, rows] : {std::pair{9, 10}, {511, 512}, {512, 512}}) {
    StepBench request{.tokens = 12, .text_tokens = text_tokens, .location = {}};
    request.location.model_path = test::golden_path("models/ti2v-5b");
    const std::vector<StepRow> steps = bench_step(request, {});
    ASSERT_EQ(steps.size(), 1u);
    EXPECT_EQ(steps[0].text_rows, rows);
    EXPECT_GT(steps[0].seconds, 0);
  }
}

TEST(RowsTest, TokensBecomeAPicture) {
  using Grid = std::array<int64_t, 3>;
  EXPECT_EQ(token_grid(780), (Grid{2, 15, 26}));     // 832x480
  EXPECT_EQ(token_grid(18480), (Grid{21, 22, 40}));  // 1280x704, 81 frames
  EXPECT_EQ(token_grid(2000), (Grid{1, 40, 50}));
  EXPECT_EQ(token_grid(1), (Grid{1, 1, 1}));
  EXPECT_EQ(token_grid(1021), (Grid{1, 1, 1021}));  // a prime
  for (const int64_t bad : {int64_t{0}, int64_t{-5}, int64_t{1031}, int64_t{4106}}) {
    expect_refusal(Code::kInvalidArgument, field("tokens") + ": expected a product of two numbers",
                   [&] { token_grid(bad); });
  }
}

TEST(RowsTest, SchemesWithoutAnOpAreRefused) {
  EXPECT_EQ(op_of_scheme("none"), "matmul");
  expect_refusal(Code::kInvalidArgument, "no bench for the scheme 'fp4'; expected one of none",
                 [] { op_of_scheme("fp4"); });
}

}  // namespace
}  // namespace mxvideo::bench
