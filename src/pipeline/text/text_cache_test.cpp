// The cache of prompt embeddings: what it finds, what it refuses, what makes a key another one.
#include "pipeline/text/text_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "checkpoint/safetensors_writer.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::pipeline {
namespace {

namespace fs = std::filesystem;

const std::vector<int32_t> kIds = {7, 300, 1};

Tensor some_rows() {
  return Tensor::from_values(
      {3, 4}, std::vector<float>{1, -2, 3.5f, 0, 1e-40f, -0.0f, 7, 8, 9, 10, 0.1f, -1e30f});
}

class TextCacheTest : public testing::Test {
 protected:
  TextCache cache(const std::string& identity = "a") const {
    return {temporary_.path() / "cache", {{"encoder", identity}}, 4};
  }
  fs::path entry() const { return cache().path_of(kIds); }
  void expect_refused(const std::string& why) const {
    const TextCache::Entry found = cache().find(kIds);
    EXPECT_FALSE(found.rows.has_value());
    EXPECT_NE(found.defect.find(entry().string()), std::string::npos) << found.defect;
    EXPECT_NE(found.defect.find(why), std::string::npos) << found.defect;
  }
  // The entry's text with `from` replaced, once.
  void damage(const std::string& from, const std::string& to) const {
    std::string file = read_file(entry(), 1 << 20);
    const size_t at = file.find(from);
    ASSERT_NE(at, std::string::npos);
    write_file_atomically(entry(), file.replace(at, from.size(), to));
  }

  test::TemporaryDirectory temporary_;
};

TEST_F(TextCacheTest, GivesBackTheBitsThatWereStored) {
  EXPECT_FALSE(cache().find(kIds).rows.has_value());
  EXPECT_EQ(cache().find(kIds).defect, "");
  const Tensor rows = some_rows();
  cache().store(kIds, rows);
  const TextCache::Entry found = cache().find(kIds);
  EXPECT_EQ(found.defect, "");
  ASSERT_TRUE(found.rows.has_value());
  EXPECT_EQ(found.rows->shape(), rows.shape());
  EXPECT_EQ(std::memcmp(found.rows->data(), rows.data(), static_cast<size_t>(rows.bytes())), 0);
}

TEST_F(TextCacheTest, OtherTokensOrAnotherEncoderAreAMiss) {
  cache().store(kIds, some_rows());
  const std::vector<int32_t> other = {7, 301, 1};
  EXPECT_FALSE(cache().find(other).rows.has_value());
  EXPECT_FALSE(cache("b").find(kIds).rows.has_value());
  EXPECT_EQ(cache("b").find(kIds).defect, "");
}

TEST_F(TextCacheTest, RefusesAFileThatWasMadeForAnotherKey) {
  cache("b").store(kIds, some_rows());
  fs::rename(cache("b").path_of(kIds), entry());
  expect_refused("made for another prompt or model");
}

TEST_F(TextCacheTest, RefusesDamagedFiles) {
  const Tensor rows = some_rows();
  cache().store(kIds, rows);
  std::string file = read_file(entry(), 1 << 20);
  file[file.size() - 5] ^= 1;
  write_file_atomically(entry(), file);
  expect_refused("not what was written");
  write_file_atomically(entry(), file.substr(0, file.size() - 1));
  expect_refused("");
  write_file_atomically(entry(), "no safetensors");
  expect_refused("");
  write_file_atomically(entry(), std::string(3 << 20, ' '));
  expect_refused("");
  write_file_atomically(entry(), "");
  expect_refused("");

  cache().store(kIds, rows);
  EXPECT_TRUE(cache().find(kIds).rows.has_value()) << "storing replaces what is damaged";
  damage("\"embedding\"", "\"embeddinG\"");
  expect_refused("one tensor");
  cache().store(kIds, rows);
  damage("[3,4]", "[4,3]");
  expect_refused("type or shape");
}

TEST_F(TextCacheTest, RefusesValuesThatAreNotFinite) {
  Tensor rows = some_rows();
  rows.f32()[5] = std::numeric_limits<float>::quiet_NaN();
  cache().store(kIds, rows);
  expect_refused("NaN or infinity");
}

TEST_F(TextCacheTest, SaysWhereItCannotWrite) {
  write_file_atomically(temporary_.path() / "file", "");
  const TextCache below_a_file(temporary_.path() / "file" / "cache", {}, 4);
  EXPECT_FALSE(below_a_file.find(kIds).rows.has_value());
  const Error error = test::expect_error([&] { below_a_file.store(kIds, some_rows()); });
  EXPECT_EQ(error.code(), Code::kIo);
  EXPECT_NE(std::string(error.what()).find("file/cache"), std::string::npos) << error.what();
  // The place of the entry is taken: what was begun does not stay.
  fs::create_directories(entry() / "x");
  EXPECT_EQ(test::expect_error([&] { cache().store(kIds, some_rows()); }).code(), Code::kIo);
  EXPECT_EQ(std::distance(fs::directory_iterator(entry().parent_path()), {}), 1);
  const Error refused =
      test::expect_error([&] { TextCache(temporary_.path() / "file", nullptr, 4); });
  EXPECT_EQ(refused.code(), Code::kInvalidArgument);
}

TEST_F(TextCacheTest, ReadersAndWritersMayShareAnEntry) {
  const Tensor rows = some_rows();
  std::vector<std::thread> threads;
  threads.reserve(4);
  std::atomic<int> hits{0}, defects{0}, wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        if (t % 2 == 0) cache().store(kIds, rows);
        const TextCache::Entry found = cache().find(kIds);
        defects += found.defect.empty() ? 0 : 1;
        if (!found.rows) continue;
        ++hits;
        wrong += std::memcmp(found.rows->data(), rows.data(), static_cast<size_t>(rows.bytes()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(hits, 40);  // of those who had just stored
  EXPECT_EQ(defects, 0);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(entry().parent_path()), {}), 1);
}

class TextEncoderIdentityTest : public testing::Test {
 protected:
  TextEncoderIdentityTest() {
    fs::copy(test::golden_path("models/t2v-a14b/tokenizer"), source_.tokenizer);
    fs::copy(test::golden_path("models/t2v-a14b/text_encoder"), source_.text_encoder);
    weights_.emplace(checkpoint::Checkpoint::open_directory(source_.text_encoder));
    source_.weights = &*weights_;
  }
  std::string identity() const { return text_encoder_identity(source_).dump(); }
  // Appends a byte.
  static void change(const fs::path& path) {
    const fs::file_time_type time = fs::last_write_time(path);
    std::ofstream(path, std::ios::app) << ' ';
    fs::last_write_time(path, time);
  }

  test::TemporaryDirectory temporary_;
  std::optional<checkpoint::Checkpoint> weights_;
  TextEncoderSource source_ = {.tokenizer = temporary_.path() / "tokenizer",
                               .text_encoder = temporary_.path() / "text_encoder",
                               .weights = nullptr,
                               .quantization = {{"scheme", "none"}},
                               .max_tokens = 512};
};

TEST_F(TextEncoderIdentityTest, StaysAsLongAsNothingChanges) { EXPECT_EQ(identity(), identity()); }

TEST_F(TextEncoderIdentityTest, ChangesWithEverythingThatChangesAnEmbedding) {
  std::set<std::string> seen = {identity()};
  const auto expect_new = [&](const std::string& what) {
    EXPECT_TRUE(seen.insert(identity()).second) << what;
  };
  for (const char* name : {"tokenizer/spiece.model", "tokenizer/tokenizer_config.json",
                           "tokenizer/special_tokens_map.json", "text_encoder/config.json"}) {
    change(temporary_.path() / name);
    expect_new(name);
  }
  source_.quantization = {{"scheme", "mxfp8"}};
  expect_new("quantization");
  source_.policy.forced_rows["matmul"] = "reference";
  expect_new("kernels");
  source_.max_tokens = 256;
  expect_new("length");
}

// Other weights under the same name, of the same size and with the same time of modification.
TEST_F(TextEncoderIdentityTest, ChangesWithWeightsThatLookTheSame) {
  const fs::path weights = source_.text_encoder / "model.safetensors";
  const std::string before = identity();
  const fs::file_time_type time = fs::last_write_time(weights);
  std::this_thread::sleep_for(
      std::chrono::milliseconds(20));  // the clock of a file system is coarse
  std::string bytes = read_file(weights, 1 << 24);
  bytes.back() ^= 1;
  std::fstream(weights, std::ios::in | std::ios::out | std::ios::binary) << bytes;
  fs::last_write_time(weights, time);
  EXPECT_EQ(fs::last_write_time(weights), time);
  EXPECT_NE(identity(), before);
}

TEST_F(TextEncoderIdentityTest, ChangesWithAReplacedFile) {
  const fs::path weights = source_.text_encoder / "model.safetensors";
  const std::string before = identity();
  fs::copy(weights, temporary_.path() / "copy");
  fs::rename(temporary_.path() / "copy", weights);
  EXPECT_NE(identity(), before);
}

}  // namespace
}  // namespace mxvideo::pipeline
