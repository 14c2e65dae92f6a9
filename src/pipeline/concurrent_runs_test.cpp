// Runs of one engine, at once and one after the other.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <vector>

#include "base/parallel.h"
#include "pipeline/golden_run.h"
#include "support/test_support.h"

namespace mxvideo::pipeline {
namespace {

constexpr int64_t kEverything = int64_t{1} << 40;

std::vector<std::string> loads(const RunReport& report) {
  std::vector<std::string> names;
  for (const StageReport& stage : report.stages) {
    if (stage.name.starts_with("load_")) names.push_back(stage.name);
  }
  return names;
}

void expect_same_bits(const Generated& a, const Generated& b) {
  EXPECT_TRUE(std::ranges::equal(a.latents.values(), b.latents.values()));
  EXPECT_TRUE(std::ranges::equal(a.video.values(), b.video.values()));
}

class ConcurrentRuns : public testing::TestWithParam<int64_t> {};

// Each has another number of threads, and another seed than its neighbours.
TEST_P(ConcurrentRuns, EachGivesTheBitsThatItHasAlone) {
  const GoldenRun golden("ti2v-5b_i2v.safetensors");
  const Engine engine = golden.engine("mxfp8", GetParam());
  constexpr int kRuns = 8, kSeeds = 3;
  std::vector<GenerateRequest> requests(kRuns);
  std::vector<Generated> alone(kSeeds), together(kRuns);
  for (int i = 0; i < kRuns; ++i) {
    GenerateRequest& request = requests[static_cast<size_t>(i)];
    request = golden.request();
    request.num_inference_steps = 3;
    request.seed = static_cast<uint64_t>(i % kSeeds);
  }
  for (size_t i = 0; i < kSeeds; ++i) alone[i] = generate_all(golden.engine("mxfp8"), requests[i]);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kRuns; ++i) {
    threads.emplace_back([&, i] {
      set_num_threads(static_cast<int>(i % 3) + 1);
      together[i] = generate_all(engine, requests[i]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < kRuns; ++i) expect_same_bits(together[i], alone[i % kSeeds]);
  EXPECT_FALSE(std::ranges::equal(alone[0].latents.values(), alone[1].latents.values()));
}

INSTANTIATE_TEST_SUITE_P(Residency, ConcurrentRuns, testing::Values(0, kEverything),
                         [](const auto& instance) {
                           return instance.param == 0 ? "EachItsOwnWeights" : "SharedWeights";
                         });

TEST(Residency, TheSecondRunOfAnEngineLoadsNothingWithinTheBudget) {
  const GoldenRun golden("t2v-a14b_t2v.safetensors");
  const GenerateRequest request = golden.request();
  const Engine keeps = golden.engine("none", kEverything), forgets = golden.engine();
  const Generated first = generate_all(keeps, request), second = generate_all(keeps, request);
  EXPECT_EQ(loads(first.report).size(), 4u);
  EXPECT_EQ(loads(second.report), std::vector<std::string>());
  expect_same_bits(first, second);
  ASSERT_EQ(first.report.components.size(), second.report.components.size());
  for (size_t i = 0; i < first.report.components.size(); ++i) {
    EXPECT_EQ(first.report.components[i].weight_bytes, second.report.components[i].weight_bytes);
    EXPECT_EQ(first.report.components[i].checkpoint_bytes,
              second.report.components[i].checkpoint_bytes);
  }
  EXPECT_EQ(loads(generate_all(forgets, request).report), loads(first.report));
  const Generated again = generate_all(forgets, request);
  EXPECT_EQ(loads(again.report), loads(first.report));
  expect_same_bits(first, again);
}

struct Piece : Residency::Component {
  explicit Piece(int64_t count) : bytes(count) {}
  int64_t resident_bytes() const override { return bytes; }
  int64_t bytes;
};

// The loads of a sequence of uses.
class Uses {
 public:
  explicit Uses(int64_t budget) : residency_(budget) {}
  std::shared_ptr<const Residency::Component> use(const std::string& name, int64_t size) {
    return residency_.acquire(name, [&]() -> std::shared_ptr<const Residency::Component> {
      loaded += name;
      residency_.make_room(size);
      return std::make_shared<Piece>(size);
    });
  }
  std::string loaded;

 private:
  Residency residency_;
};

TEST(Residency, LeavesOutWhatWasUsedLongestAgoAndNothingThatIsInUse) {
  Uses uses(10);
  uses.use("a", 4);
  uses.use("b", 4);
  uses.use("a", 4);
  EXPECT_EQ(uses.loaded, "ab");
  uses.use("c", 4);  // b leaves
  uses.use("a", 4);
  uses.use("c", 4);
  EXPECT_EQ(uses.loaded, "abc");
  {
    const auto held = uses.use("a", 4);
    uses.use("b", 9);  // c leaves, a cannot
    uses.use("a", 4);
    EXPECT_EQ(uses.loaded, "abcb");
  }
  uses.use("d", 11);  // more than there may be
  uses.use("d", 11);
  EXPECT_EQ(uses.loaded, "abcbdd");
}

TEST(Residency, AFailedLoadIsTriedAgain) {
  Residency residency(10);
  const auto failing = []() -> std::shared_ptr<const Residency::Component> {
    throw Error(Code::kIo, "x");
  };
  EXPECT_EQ(test::expect_error([&] { residency.acquire("a", failing); }).code(), Code::kIo);
  const auto good = []() -> std::shared_ptr<const Residency::Component> {
    return std::make_shared<Piece>(1);
  };
  EXPECT_EQ(residency.acquire("a", good)->resident_bytes(), 1);
}

}  // namespace
}  // namespace mxvideo::pipeline
