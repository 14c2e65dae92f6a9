// The stage that encodes prompts: what the transformer gets, and what the cache changes.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/json.h"
#include "pipeline/golden_run.h"
#include "pipeline/memory_plan.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::pipeline {
namespace {

namespace fs = std::filesystem;

// The goldens come from WanPipeline.encode_prompt, which encodes 512 tokens, masks those that are
// padding and zeroes their rows; here only the prompt is encoded.
TEST(TextStage, PromptAloneGivesTheRowsOfThePaddedAndMaskedPrompt) {
  const std::string directory = test::golden_path("models/t2v-a14b/text_encoder");
  models::Umt5Encoder encoder(
      models::Umt5Config::from_json(read_json_file(directory + "/config.json"), directory));
  checkpoint::ParameterLoader loader;
  encoder.declare_parameters(loader);
  loader.load(checkpoint::Checkpoint::open_directory(directory));
  for (const char* name : {"empty", "word", "english", "mixed", "long", "truncated"}) {
    const test::GoldenFile golden(std::string("umt5/") + name + ".safetensors");
    const std::vector<int64_t> ids = golden.i64("ids");
    std::vector<float> expected = golden.f32("encode_prompt");
    ASSERT_EQ(expected.size(), ids.size() * 64);
    kernels::Context context;
    const Tensor text = encoder.encode(std::vector<int32_t>(ids.begin(), ids.end()), context);
    EXPECT_EQ(text.shape(), (Shape{static_cast<int64_t>(ids.size()), 64})) << name;
    EXPECT_LE(test::relative_rms(text.values(), expected), 1e-4) << name;
  }
}

class TextStageCacheTest : public testing::Test {
 protected:
  TextStageCacheTest() {
    fs::copy(test::golden_path("models/ti2v-5b"), model_, fs::copy_options::recursive);
    request_.prompt = "A red fox in the snow.";
    request_.negative_prompt = "blurry";
    request_.width = request_.height = 64;
    request_.num_frames = 5;
    request_.num_inference_steps = 1;
    request_.seed = 3;
  }
  Engine open(const fs::path& cache) const {
    PipelineOptions options;
    options.model_directory = model_;
    options.text_cache = cache;
    return Engine(std::move(options));
  }
  Generated generate() const { return generate_all(open(cache_), request_); }
  MemoryPlan plan_of(const Engine& engine) const {
    pipeline::Run run(engine, request_);
    return plan_run(run);
  }
  // What the only entries of the directory are.
  std::vector<fs::path> entries() const {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(cache_)) paths.push_back(entry.path());
    return paths;
  }
  static std::string states(const TextCacheReport& report) {
    std::string text;
    for (const auto& [prompt, state] : report.prompts) text += prompt + " " + state + "; ";
    return text;
  }
  static bool loaded(const Generated& result) {
    return std::ranges::any_of(result.report.components, [](const ComponentReport& component) {
      return component.name == "text_encoder";
    });
  }
  static void expect_same_bits(const Generated& a, const Generated& b) {
    EXPECT_TRUE(std::ranges::equal(a.latents.values(), b.latents.values()));
  }

  test::TemporaryDirectory temporary_;
  fs::path model_ = temporary_.path() / "model";
  fs::path cache_ = temporary_.path() / "cache" / "text";
  GenerateRequest request_;
};

constexpr const char* kMisses = "prompt miss; negative_prompt miss; ";
constexpr const char* kHits = "prompt hit; negative_prompt hit; ";

TEST_F(TextStageCacheTest, SecondRunNeedsNoEncoderAndGivesTheSameBits) {
  const Generated without = generate_all(open({}), request_);
  EXPECT_EQ(without.report.text_cache.directory, "");
  EXPECT_FALSE(without.report.to_json().contains("text_cache"));
  const Generated first = generate();
  EXPECT_EQ(states(first.report.text_cache), kMisses);
  EXPECT_TRUE(loaded(first));
  EXPECT_EQ(entries().size(), 2u);
  const Generated second = generate();
  EXPECT_EQ(states(second.report.text_cache), kHits);
  EXPECT_FALSE(loaded(second));
  for (const StageReport& stage : second.report.stages) {
    EXPECT_NE(stage.name, "load_text_encoder");
    EXPECT_NE(stage.name, "encode_prompt");
  }
  EXPECT_EQ(second.report.to_json()["text_cache"]["negative_prompt"], "hit");
  // A hit is a line, and nothing else is.
  auto expected = without.report.notices;
  expected.insert(expected.begin(),
                  "embedding of the prompt and negative prompt taken from the text cache " +
                      cache_.string() + "; the text encoder is not loaded");
  EXPECT_EQ(second.report.notices, expected);
  expect_same_bits(first, without);
  expect_same_bits(second, without);
}

TEST_F(TextStageCacheTest, EncodesOnlyThePromptThatIsNew) {
  generate();
  request_.prompt = "A blue boat.";
  const Generated result = generate();
  EXPECT_EQ(states(result.report.text_cache), "prompt miss; negative_prompt hit; ");
  EXPECT_TRUE(loaded(result));
  EXPECT_EQ(entries().size(), 3u);
  expect_same_bits(result, generate_all(open({}), request_));
}

TEST_F(TextStageCacheTest, PlanKnowsWhatIsThere) {
  EXPECT_EQ(plan_of(open({})).text_cache.directory, "");
  const MemoryPlan before = plan_of(open(cache_));
  EXPECT_EQ(states(before.text_cache), kMisses);
  EXPECT_FALSE(fs::exists(cache_)) << "a plan writes nothing";
  generate();
  const MemoryPlan after = plan_of(open(cache_));
  EXPECT_EQ(states(after.text_cache), kHits);
  EXPECT_EQ(after.prompt_tokens, before.prompt_tokens);
  const auto has = [](const MemoryPlan& plan, const std::string& stage) {
    return std::ranges::any_of(plan.stages, [&](const StagePlan& s) { return s.name == stage; });
  };
  EXPECT_TRUE(has(before, "load_text_encoder"));
  EXPECT_FALSE(has(after, "load_text_encoder"));
  EXPECT_TRUE(has(after, "read_text_cache"));
  EXPECT_EQ(after.components.size() + 1, before.components.size());
  const auto text_bytes = [](const MemoryPlan& plan) {
    int64_t bytes = 0;
    for (const StagePlan& stage : plan.stages) {
      for (const MemoryPart& part : stage.parts) {
        if (part.name == "text keys and values") bytes += part.bytes;
      }
    }
    return bytes;
  };
  EXPECT_GT(text_bytes(before), 0);
  EXPECT_EQ(text_bytes(after), text_bytes(before)) << "computed from what the cache holds too";
  request_.negative_prompt = "";  // is a prompt, other than an empty one, which is not known yet
  generate();
  EXPECT_EQ(states(plan_of(open(cache_)).text_cache), kHits);
  request_.prompt = "";
  EXPECT_EQ(states(plan_of(open(cache_)).text_cache), "prompt miss; negative_prompt hit; ");
}

TEST_F(TextStageCacheTest, DamagedEntryIsToldAndReplaced) {
  const Generated first = generate();
  for (const fs::path& path : entries()) {
    std::string file = read_file(path, 1 << 24);
    file.back() ^= 1;
    write_file_atomically(path, file);
  }
  const Generated second = generate();
  EXPECT_EQ(states(second.report.text_cache), kMisses);
  ASSERT_GE(second.report.notices.size(), 2u);
  EXPECT_NE(second.report.notices[0].find("cached embedding not used"), std::string::npos);
  expect_same_bits(first, second);
  EXPECT_EQ(states(generate().report.text_cache), kHits);
}

TEST_F(TextStageCacheTest, OtherTokenizerOrWeightsAreAMiss) {
  generate();
  std::ofstream(model_ / "tokenizer" / "special_tokens_map.json", std::ios::app) << ' ';
  EXPECT_EQ(states(generate().report.text_cache), kMisses);
  EXPECT_EQ(states(generate().report.text_cache), kHits);

  const fs::path weights = model_ / "text_encoder" / "model.safetensors";
  std::string bytes = read_file(weights, 1 << 24);
  bytes[bytes.size() - 300] ^= 0x10;
  write_file_atomically(weights, bytes);
  const Generated changed = generate();
  EXPECT_EQ(states(changed.report.text_cache), kMisses);
  expect_same_bits(changed, generate_all(open({}), request_));
}

// The scheme is told in report and plan, and its embeddings are others.
TEST_F(TextStageCacheTest, QuantizedEncoderIsReportedAndHasItsOwnEntries) {
  const Generated exact = generate();
  EXPECT_EQ(exact.report.components.front().quantization, "");
  EXPECT_TRUE(exact.report.components.front().layers.empty());
  PipelineOptions options;
  options.model_directory = model_;
  options.text_cache = cache_;
  options.text_quantization = "mxfp8";
  const Engine quantized(options);
  const MemoryPlan plan = plan_of(quantized);
  EXPECT_EQ(states(plan.text_cache), kMisses);
  EXPECT_EQ(plan.components.front().name, "text_encoder");
  ASSERT_EQ(plan.components.front().schemes.size(), 2u);
  EXPECT_EQ(plan.components.front().schemes[0].layers, 12);
  const Generated result = generate_all(quantized, request_);
  EXPECT_EQ(states(result.report.text_cache), kMisses);
  const ComponentReport& encoder = result.report.components.front();
  EXPECT_EQ(encoder.quantization, "mxfp8");
  EXPECT_EQ(encoder.layers.size(), 14u);
  EXPECT_EQ(encoder.weight_bytes, plan.components.front().weight_bytes);
  EXPECT_LT(encoder.weight_bytes, exact.report.components.front().weight_bytes);
  EXPECT_FALSE(std::ranges::equal(result.latents.values(), exact.latents.values()));
  expect_same_bits(generate_all(quantized, request_), result);
  EXPECT_EQ(states(generate().report.text_cache), kHits);

  options.text_quantization = "modelslim";
  const Error error = test::expect_error([&] { Engine refused(options); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
}

TEST_F(TextStageCacheTest, RunsWhereItCannotWriteAndSaysSo) {
  write_file_atomically(temporary_.path() / "cache", "in the way");
  const Generated result = generate();
  EXPECT_EQ(states(result.report.text_cache), kMisses);
  const auto said = [&](const std::string& what) {
    return std::ranges::any_of(result.report.notices, [&](const std::string& notice) {
      return notice.find(what) != std::string::npos;
    });
  };
  EXPECT_TRUE(said("the embedding is not cached: " + cache_.string()));
  cache_ = temporary_.path() / "cache";
  EXPECT_EQ(test::expect_error([&] { generate(); }).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace mxvideo::pipeline
