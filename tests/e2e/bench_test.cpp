// `mxvideo bench`: the form of its results, its errors, and the comparison with a baseline. Timings
// are not judged.
#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

struct BadBench {
  const char* name;
  Arguments arguments;  // after "bench"; "@file" stands for a file of shapes
  int exit_code;
  const char* message;
};

void PrintTo(const BadBench& bad, std::ostream* stream) { *stream << bad.name; }

const BadBench kBad[] = {
    {"unknown", {"conv"}, 2, "there is no command 'bench conv' (see mxvideo bench --help)"},
    {"mistyped", {"atention"}, 2, "did you mean 'attention'?"},
    {"repeats", {"gemm", "--repeats", "4"}, 2, "--repeats"},
    {"repeats_text", {"gemm", "--repeats", "many"}, 2, "--repeats"},
    {"threads", {"attention", "--threads", "0"}, 2, "--threads"},
    {"m", {"gemm", "--m", "0"}, 2, "--m: expected numbers from 1 to 16777216 or, for ti2v_5b"},
    {"m_resolution", {"gemm", "--m", "512,8k"}, 2, "got '8k'"},
    {"layer", {"gemm", "--layer", "nope"}, 2, "--layer 'nope' matches none of a14b/attn"},
    {"scheme",
     {"gemm", "--scheme", "fp4"},
     2,
     "--quantization: expected none, mxfp8 or mxint8, got 'fp4'"},
    {"kernel", {"gemm", "--kernel", "abacus"}, 2, "op gemm_mx has no row 'abacus'"},
    {"kernel_of_op", {"gemm", "--kernel", "gemm_mx=refrence"}, 2, "did you mean 'reference'?"},
    {"kernel_op", {"gemm", "--kernel", "gem_mx=reference"}, 2, "did you mean 'gemm_mx'?"},
    {"attention_kernel",
     {"attention", "--kernel", "abacus"},
     2,
     "op attention has no row 'abacus'"},
    {"length", {"attention", "--length", "0"}, 2, "--length"},
    {"shapes_absent", {"gemm", "--shapes", "no.txt"}, 3, "--shapes: no.txt: cannot open"},
    {"shapes_bad", {"gemm", "--shapes", "@file"}, 3, "bad.txt:1: expected `layer K N`"},
    {"layers", {"step", "--layers", "31"}, 2, "--layers"},
    {"tokens", {"step", "--tokens", "1031"}, 2, "--tokens: expected a product of two numbers"},
    {"text_tokens", {"step", "--text-tokens", "513"}, 2, "--text-tokens"},
    {"compute", {"step", "--compute", "int8"}, 2, "--compute"},
    {"attention", {"step", "--attention", "fp16"}, 2, "--attention"},
    {"text_layers", {"text", "--layers", "25"}, 2, "--layers"},
    {"model_path", {"load", "--model-path", "nowhere"}, 3, "nowhere/config.json"},
    {"model_and_keep",
     {"load", "--model-path", "a", "--keep", "b"},
     2,
     "--keep excludes --model-path"},
    {"vae_frames", {"vae", "--model-path", "@vae", "--num-frames", "6"}, 2, "expected 4n+1 frames"},
    {"vae_size", {"vae", "--model-path", "@vae", "--height", "30"}, 2, "multiples of 8"},
    {"check_alone", {"check"}, 2, "--baseline is required"},
    {"check_absent", {"check", "--baseline", "no.json", "no.json"}, 3, "no.json"},
    {"tolerance", {"check", "--baseline", "a", "b", "--tolerance", "0.5"}, 2, "--update"},
};

class BadBenchTest : public CliTest, public testing::WithParamInterface<BadBench> {};

TEST_P(BadBenchTest, IsOneLineAndTheRightStatus) {
  write_text(scratch() / "bad.txt", "attn 64\n");
  Arguments arguments = {"bench"};
  for (const std::string& word : GetParam().arguments) {
    if (word == "@file") {
      arguments.push_back(scratch() / "bad.txt");
    } else if (word == "@vae") {
      arguments.push_back(tiny_model("t2v-a14b"));
    } else {
      arguments.push_back(word);
    }
  }
  expect_failure(run(arguments), GetParam().exit_code, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(All, BadBenchTest, testing::ValuesIn(kBad),
                         [](const auto& bad) { return std::string(bad.param.name); });

class BenchTest : public CliTest {
 protected:
  nlohmann::json bench(const Arguments& arguments) {
    Arguments all = {"bench"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    all.emplace_back("--json");
    const ProcessResult result = run(all);
    expect_success(result);
    EXPECT_EQ(outputs().size(), 0u);
    return nlohmann::json::parse(result.out);
  }
};

TEST_F(BenchTest, GemmListsEveryRowOfTheTable) {
  write_text(scratch() / "tiny.txt", "layer 64 48\n");
  const auto doctor = nlohmann::json::parse(run({"doctor", "--json"}).out);
  for (const auto& [scheme, op] : {std::pair{"mxfp8", "gemm_mx"}, {"none", "matmul"}}) {
    const auto result = bench({"gemm", "--scheme", scheme, "--shapes", scratch() / "tiny.txt",
                               "--m", "3", "--threads", "2"});
    const auto& kernels = doctor.at("kernels").at(op);
    ASSERT_EQ(result.at("rows").size(), kernels.size());
    for (size_t i = 0; i < kernels.size(); ++i) {
      const auto& row = result.at("rows")[i];
      EXPECT_EQ(row.at("kernel"), kernels[i].at("row"));
      EXPECT_EQ(row.at("layer"), "tiny/layer");
      EXPECT_EQ(row.at("threads"), 2);
      if (!kernels[i].at("runs")) {
        EXPECT_EQ(row.at("status"), "compiled, not run");
        EXPECT_EQ(row.at("seconds_median"), nullptr);
      } else if (row.at("status") == "measured") {
        EXPECT_GT(row.at("seconds_median"), 0.0);
        EXPECT_GT(row.at("ratio_onednn_f32"), 0.0);
      } else {
        EXPECT_EQ(row.at("status"), "left out");
      }
    }
    EXPECT_EQ(result.at("rows").back().at("status"), "measured");  // the reference takes all
    EXPECT_EQ(result.at("machine").at("threads"), 2);
    EXPECT_GT(result.at("machine").at("copy_bytes_per_second"), 0.0);
    EXPECT_EQ(result.at("machine").at("units").size(), 10u);
  }
}

// A row is of attention in fp32, of that in integers, or of both.
TEST_F(BenchTest, AttentionTakesARowOfEitherKind) {
  const auto ops = [&](const char* kernel) {
    const auto result = bench({"attention", "--kernel", kernel, "--length", "16", "--heads", "1"});
    Arguments names;
    for (const auto& row : result.at("rows")) {
      EXPECT_EQ(row.at("status"), "measured");
      names.push_back(row.at("op"));
    }
    return names;
  };
  EXPECT_EQ(ops("highway"), (Arguments{"attention", "attention"}));
  EXPECT_EQ(ops("highway_int16"), (Arguments{"attention_int8"}));
  EXPECT_EQ(ops("reference"), (Arguments{"attention", "attention_int8", "attention"}));
}

TEST_F(BenchTest, VaeLoadAndTextTakeAModel) {
  const auto vae = bench({"vae", "--model-path", tiny_model("t2v-a14b"), "--num-frames", "1",
                          "--height", "32", "--width", "32"});
  EXPECT_GT(vae.at("rows")[0].at("seconds_median"), 0.0);
  const auto load = bench({"load", "--model-path", tiny_model("t2v-a14b"), "--scheme", "none"});
  EXPECT_GT(load.at("rows")[0].at("bytes_read"), 0);
  EXPECT_GT(load.at("rows")[0].at("roof_fraction"), 0.0);
  const auto text = bench({"text", "--model-path", tiny_model("t2v-a14b"), "--tokens", "9"});
  const auto& row = text.at("rows")[0];
  const auto config = read_json(tiny_model("t2v-a14b") / "text_encoder" / "config.json");
  const auto number = [&](const char* name) { return config.at(name).get<int64_t>(); };
  const int64_t attention = 4 * number("d_model") * number("num_heads") * number("d_kv");
  const int64_t gated = 3 * number("d_model") * number("d_ff");
  EXPECT_EQ(row.at("bytes_read"), number("num_layers") * (attention + gated) * 2) << "BF16";
  EXPECT_EQ(row.at("tokens"), 9);
  EXPECT_GT(row.at("gflops"), 0.0);
  EXPECT_GT(row.at("roof_fraction"), 0.0);
}

TEST_F(BenchTest, TableHasTheRows) {
  write_text(scratch() / "tiny.txt", "layer 64 48\n");
  const ProcessResult result = run(
      {"bench", "gemm", "--shapes", scratch() / "tiny.txt", "--m", "3", "--kernel", "reference"});
  expect_success(result);
  EXPECT_NE(result.out.find("seconds_median"), std::string::npos);
  EXPECT_NE(result.out.find("\ngemm_mx  mxfp8   exact    reference  3  64  48"), std::string::npos)
      << result.out;
}

// Results and a baseline with one ratio.
class BenchCheckTest : public BenchTest {
 protected:
  std::filesystem::path result(double ratio, const std::string& cpu = "Some CPU") {
    const nlohmann::json json = {
        {"machine", {{"cpu", cpu}, {"features", "avx2"}, {"threads", 2}}},
        {"rows", {{{"op", "gemm"}, {"kernel", "fast"}, {"ratio_onednn_f32", ratio}}}}};
    auto path = scratch() / ("result-" + cpu + "-" + std::to_string(ratio) + ".json");
    write_text(path, json.dump());
    return path;
  }
  ProcessResult check(const std::filesystem::path& file, const Arguments& extra = {}) {
    Arguments all = {"bench", "check", "--baseline", scratch() / "baseline.json", file};
    all.insert(all.end(), extra.begin(), extra.end());
    return run(all);
  }
  void SetUp() override { expect_success(check(result(2.0), {"--update", "--tolerance", "0.1"})); }
};

TEST_F(BenchCheckTest, AcceptsWhatTheToleranceAllows) {
  const ProcessResult good = check(result(1.85));
  expect_success(good);
  EXPECT_NE(good.out.find("good           1.850 was   2.000  gemm fast ratio_onednn_f32"),
            std::string::npos)
      << good.out;
}

TEST_F(BenchCheckTest, RegressionsFailAndAreListed) {
  const ProcessResult bad = check(result(1.7));
  EXPECT_EQ(bad.exit_code, 8);
  EXPECT_NE(bad.out.find("REGRESSION     1.700 was   2.000  gemm fast ratio_onednn_f32"),
            std::string::npos)
      << bad.out;
  EXPECT_NE(bad.err.find("1 ratio worse or not measured"), std::string::npos);
}

TEST_F(BenchCheckTest, AnotherMachineFails) {
  expect_failure(check(result(2.0, "Other CPU")), 4, "another class of machine");
}

}  // namespace
}  // namespace mxvideo::test
