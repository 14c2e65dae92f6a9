// Against transformers' UMT5EncoderModel in fp32 on the tiny checkpoints of tests/golden.
#include "models/umt5/umt5_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>

#include "base/parallel.h"
#include "base/text/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors_writer.h"
#include "support/golden_file.h"
#include "support/test_support.h"
#include "tokenizer/prompt_cleaner.h"
#include "tokenizer/umt5_tokenizer.h"

namespace mxvideo::models {
namespace {

constexpr double kBound = 1e-4;  // relative RMS

std::string directory(const std::string& variant) {
  return test::golden_path("models/" + variant + "/text_encoder");
}

Umt5Config load_config(const std::string& variant) {
  const std::string path = directory(variant) + "/config.json";
  return Umt5Config::from_json(read_json_file(path), path);
}

Umt5Encoder load(const std::string& variant) {
  Umt5Encoder encoder(load_config(variant));
  checkpoint::ParameterLoader loader;
  encoder.declare_parameters(loader);
  loader.load(checkpoint::Checkpoint::open_directory(directory(variant)));
  return encoder;
}

// The same weights widened to F32, the embedding under one or two names.
Umt5Encoder load_widened(const std::string& variant, std::initializer_list<const char*> names) {
  const auto stored = checkpoint::Checkpoint::open_directory(directory(variant));
  std::vector<Tensor> tensors;
  std::vector<std::string> tensor_names;
  for (const auto& [name, tensor] : stored.tensors()) {
    if (name == "shared.weight") continue;
    tensors.push_back(to_f32(tensor.view));
    tensor_names.push_back(name);
  }
  for (const char* name : names) {
    tensors.push_back(to_f32(stored.tensors().at("shared.weight").view));
    tensor_names.emplace_back(name);
  }
  std::vector<checkpoint::NamedTensor> named;
  for (size_t i = 0; i < tensors.size(); ++i) named.push_back({tensor_names[i], tensors[i]});
  const test::TemporaryDirectory folder;
  const auto path = folder.path() / "model.safetensors";
  checkpoint::write_safetensors(path, named);

  auto widened = checkpoint::Checkpoint::open_file(path);
  use_shared_embedding_name(widened);
  Umt5Encoder encoder(load_config(variant));
  checkpoint::ParameterLoader loader;
  encoder.declare_parameters(loader);
  loader.load(widened);
  return encoder;
}

std::vector<int32_t> golden_ids(const test::GoldenFile& file) {
  const std::vector<int64_t> ids = file.i64("ids");
  return {ids.begin(), ids.end()};
}

class Umt5Golden : public testing::TestWithParam<const char*> {};

TEST_P(Umt5Golden, EveryStageMatchesTheReference) {
  const test::GoldenFile file(std::string("umt5/") + GetParam() + ".safetensors");
  const Umt5Encoder encoder = load("t2v-a14b");
  std::set<std::string> pending;
  for (const std::string& name : file.names()) pending.insert(name);
  double worst = 0;
  const auto compare = [&](const std::string& name, const Tensor& value) {
    if (pending.erase(name) == 0) return;
    const double error = test::relative_rms(value.values(), file.f32(name));
    worst = std::max(worst, error);
    EXPECT_LE(error, kBound) << name;
  };
  kernels::Context context;
  const Tensor output = encoder.encode(golden_ids(file), {.context = &context, .observe = compare});
  compare("output", output);
  compare("encode_prompt", output);
  for (const char* other : {"ids", "bias", "block0.attn.o", "block0.ffn.out"}) {
    pending.erase(other);
  }
  EXPECT_TRUE(pending.empty()) << "not compared: " << *pending.begin();
  EXPECT_EQ(output.shape(), (Shape{static_cast<int64_t>(file.i64("ids").size()), 64}));
  RecordProperty("worst_relative_rms", std::to_string(worst));
}

TEST_P(Umt5Golden, PromptGivesTheIdsAndTheEmbeddingOfThePipeline) {
  const test::GoldenFile file(std::string("umt5/") + GetParam() + ".safetensors");
  const auto info = nlohmann::json::parse(file.metadata().at("info"));
  const auto tokenizer =
      tokenizer::Umt5Tokenizer::open(test::golden_path("models/t2v-a14b/tokenizer"));
  const std::vector<int32_t> ids =
      tokenizer.encode(tokenizer::clean_prompt(info.at("prompt").get<std::string>()));
  EXPECT_EQ(ids, golden_ids(file));
  kernels::Context context;
  const Tensor output = load("t2v-a14b").encode(ids, context);
  EXPECT_LE(test::relative_rms(output.values(), file.f32("encode_prompt")), kBound);
}

INSTANTIATE_TEST_SUITE_P(Prompts, Umt5Golden,
                         testing::Values("empty", "word", "english", "mixed", "long", "truncated"));

// A layer's table, [32 buckets, 3 heads], against `expected`: [head, first/last query, key].
void expect_bias_rows(std::span<const float> table, std::span<const int64_t> buckets,
                      int64_t length, std::span<const float> expected) {
  size_t next = 0;
  for (int64_t head = 0; head < 3; ++head) {
    for (const int64_t query : {int64_t{0}, length - 1}) {
      for (int64_t key = 0; key < length; ++key) {
        const auto distance = static_cast<size_t>(std::abs(key - query));
        const int64_t bucket = buckets[distance] + (key > query ? 16 : 0);
        ASSERT_EQ(table[static_cast<size_t>(bucket * 3 + head)], expected[next++])
            << "head " << head << " query " << query << " key " << key;
      }
    }
  }
}

// The rows of the bias that the goldens hold belong to the first and the last query, which together
// see every relative position.
TEST(Umt5Encoder, BiasTableRowsMatchTheReference) {
  const test::GoldenFile weights(directory("t2v-a14b") + "/model.safetensors");
  for (const char* name : {"word", "english", "mixed", "long"}) {
    const test::GoldenFile file(std::string("umt5/") + name + ".safetensors");
    const std::vector<float> expected = file.f32("bias");  // [layer, head, first/last, key]
    const auto length = static_cast<int64_t>(file.i64("ids").size());
    const std::vector<int64_t> buckets = umt5_relative_buckets(load_config("t2v-a14b"), length);
    const auto layer_size = static_cast<size_t>(3 * (2 * length));
    ASSERT_EQ(expected.size(), 2 * layer_size);
    for (size_t layer = 0; layer < 2; ++layer) {
      SCOPED_TRACE(std::string(name) + " layer " + std::to_string(layer));
      const std::vector<float> table =
          weights.f32("encoder.block." + std::to_string(layer) +
                      ".layer.0.SelfAttention.relative_attention_bias.weight");
      expect_bias_rows(table, buckets, length,
                       std::span(expected).subspan(layer * layer_size, layer_size));
      if (HasFatalFailure()) return;
    }
  }
}

// Distances at which the reference (torch 2.15, fp32) enters the next bucket.
TEST(Umt5Encoder, BucketsBeginWhereTheReferenceHasThem) {
  const struct {
    int64_t buckets, distance;
    std::vector<int64_t> starts;
  } cases[] = {
      {32, 128, {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91}},
      {32, 64, {0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 18, 23, 30, 39, 50}},
      {16, 100, {0, 1, 2, 3, 4, 9, 20, 45}},
      {64, 512, {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,   10,  11,  12,  13,  14,  15,
                 16, 20, 25, 31, 39, 48, 59, 73, 91, 113, 140, 174, 216, 268, 332, 413}},
      {4, 2, {0, 1}},
      {6, 20, {0, 1, 5}},
  };
  for (const auto& c : cases) {
    Umt5Config config;
    config.relative_attention_num_buckets = c.buckets;
    config.relative_attention_max_distance = c.distance;
    const std::vector<int64_t> buckets = umt5_relative_buckets(config, 5000);
    std::vector<int64_t> starts = {0};
    for (size_t i = 1; i < buckets.size(); ++i) {
      if (buckets[i] != buckets[i - 1]) starts.push_back(static_cast<int64_t>(i));
    }
    EXPECT_EQ(starts, c.starts) << c.buckets << " buckets to " << c.distance;
    EXPECT_EQ(buckets.back(), c.buckets / 2 - 1);
  }
}

TEST(Umt5Encoder, KeepsWeightsInTheirStoredType) {
  // Matrices and the embedding as stored; norms and bias tables in fp32.
  constexpr int64_t kBlockMatrices = 4 * 48 * 64 + 3 * 96 * 64;
  constexpr int64_t kStored = int64_t{1216} * 64 + 2 * kBlockMatrices;
  constexpr int64_t kFloats = 2 * (2 * 64 + 32 * 3) + 64;
  EXPECT_EQ(load("t2v-a14b").weight_bytes(), kStored * 2 + kFloats * 4);  // bf16
  EXPECT_EQ(load("ti2v-5b").weight_bytes(), kStored * 2 + kFloats * 4);   // fp16
  EXPECT_EQ(load("i2v-a14b").weight_bytes(), kStored * 4 + kFloats * 4);  // fp32
}

// Goldens exist for bf16; other types are tied to them: F32 copies of the bf16 weights reach the
// same golden, and F16 weights give what their F32 copies give.
TEST(Umt5Encoder, EveryStorageTypeGivesTheSameNumbers) {
  const test::GoldenFile file("umt5/mixed.safetensors");
  const std::vector<int32_t> ids = golden_ids(file);
  kernels::Context context;
  const Umt5Encoder widened = load_widened("t2v-a14b", {"shared.weight"});
  EXPECT_LE(test::relative_rms(widened.encode(ids, context).values(), file.f32("output")), kBound);
  const Tensor half = load("ti2v-5b").encode(ids, context);
  const Tensor full = load_widened("ti2v-5b", {"shared.weight"}).encode(ids, context);
  EXPECT_LE(test::relative_rms(half.values(), full.values()), 1e-6);
}

TEST(Umt5Encoder, TakesTheEmbeddingUnderEitherOrBothNames) {
  const test::GoldenFile file("umt5/word.safetensors");
  kernels::Context context;
  for (const auto& names : {std::initializer_list<const char*>{"encoder.embed_tokens.weight"},
                            {"shared.weight", "encoder.embed_tokens.weight"}}) {
    const Tensor output = load_widened("t2v-a14b", names).encode(golden_ids(file), context);
    EXPECT_LE(test::relative_rms(output.values(), file.f32("output")), kBound);
  }
  const Error error = test::expect_error([] { load_widened("t2v-a14b", {}); });
  EXPECT_EQ(error.code(), Code::kCorruptFile);
  EXPECT_NE(std::string(error.what()).find("1 missing: shared.weight"), std::string::npos)
      << error.what();
}

TEST(Umt5Encoder, SameBitsForAnyNumberOfThreads) {
  const Umt5Encoder encoder = load("ti2v-5b");
  const test::GoldenFile file("umt5/mixed.safetensors");
  const int threads = num_threads();
  kernels::Context context;
  set_num_threads(1);
  const Tensor expected = encoder.encode(golden_ids(file), context);
  for (const int count : {2, 7}) {
    set_num_threads(count);
    const Tensor actual = encoder.encode(golden_ids(file), context);
    EXPECT_EQ(std::memcmp(actual.data(), expected.data(), static_cast<size_t>(actual.bytes())), 0);
  }
  set_num_threads(threads);
}

TEST(Umt5Encoder, RefusesIdsOutsideTheVocabulary) {
  const Umt5Encoder encoder = load("t2v-a14b");
  kernels::Context context;
  for (const std::vector<int32_t>& ids :
       {std::vector<int32_t>{5, 1216}, std::vector<int32_t>{-1}, std::vector<int32_t>{}}) {
    const Error error = test::expect_error([&] { encoder.encode(ids, context); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
  }
}

TEST(Umt5Encoder, StopsWhenCancelledAndReportsProgress) {
  const Umt5Encoder encoder = load("t2v-a14b");
  kernels::Context context;
  CancellationToken token;
  std::vector<int64_t> done;
  const auto progress = [&](int64_t blocks, int64_t total) {
    EXPECT_EQ(total, 2);
    done.push_back(blocks);
    token.cancel();
  };
  const int32_t ids[] = {5, 1};
  const Error error = test::expect_error([&] {
    encoder.encode(ids, {.context = &context, .cancellation = &token, .progress = progress});
  });
  EXPECT_EQ(error.code(), Code::kCancelled);
  EXPECT_EQ(done, (std::vector<int64_t>{1}));
}

nlohmann::json good_config() { return read_json_file(directory("t2v-a14b") + "/config.json"); }

TEST(Umt5Config, ReadsEveryField) {
  const Umt5Config config = Umt5Config::from_json(good_config(), "c");
  EXPECT_EQ(config.vocab_size, 1216);
  EXPECT_EQ(config.d_model, 64);
  EXPECT_EQ(config.d_kv, 16);
  EXPECT_EQ(config.d_ff, 96);
  EXPECT_EQ(config.num_layers, 2);
  EXPECT_EQ(config.num_heads, 3);
  EXPECT_EQ(config.relative_attention_num_buckets, 32);
  EXPECT_EQ(config.relative_attention_max_distance, 128);
  EXPECT_FLOAT_EQ(config.layer_norm_epsilon, 1e-6f);
}

TEST(Umt5Config, RefusesBadValues) {
  const struct {
    const char* key;
    nlohmann::json value;
    Code code;
  } cases[] = {
      {"model_type", "t5", Code::kUnsupported},
      {"feed_forward_proj", "relu", Code::kUnsupported},
      {"dense_act_fn", "relu", Code::kUnsupported},
      {"model_type", 5, Code::kCorruptFile},
      {"vocab_size", nullptr, Code::kCorruptFile},
      {"vocab_size", 0, Code::kCorruptFile},
      {"d_model", -64, Code::kCorruptFile},
      {"d_model", 64.5, Code::kCorruptFile},
      {"d_kv", "16", Code::kCorruptFile},
      {"d_ff", 1e30, Code::kCorruptFile},
      {"num_layers", 100000, Code::kCorruptFile},
      {"num_heads", 0, Code::kCorruptFile},
      {"d_kv", 131072, Code::kCorruptFile},
      {"relative_attention_num_buckets", 2, Code::kCorruptFile},
      {"relative_attention_num_buckets", 33, Code::kCorruptFile},
      {"relative_attention_max_distance", 8, Code::kCorruptFile},
      {"layer_norm_epsilon", -1, Code::kCorruptFile},
  };
  for (const auto& c : cases) {
    nlohmann::json json = good_config();
    json[c.key] = c.value;
    const Error error = test::expect_error([&] { Umt5Config::from_json(json, "dir/config.json"); });
    EXPECT_EQ(error.code(), c.code) << c.key << ": " << error.what();
    EXPECT_EQ(std::string(error.what()).rfind("dir/config.json: ", 0), 0u) << error.what();
  }
}

}  // namespace
}  // namespace mxvideo::models
