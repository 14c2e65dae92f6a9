#include "pipeline/solver/torch_random.h"

#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "support/golden_file.h"

namespace mxvideo::pipeline {
namespace {

// Index of the first value whose bits differ, -1 when there is none.
int64_t first_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) {
      return static_cast<int64_t>(i);
    }
  }
  return -1;
}

TEST(TorchRandom, EveryDrawHasTorchsBits) {
  const test::GoldenFile golden("noise/torch_randn.safetensors");
  std::ifstream stream(test::golden_path("noise/torch_randn.json"));
  const nlohmann::json table = nlohmann::json::parse(stream);
  size_t compared = 0;
  for (const auto& generator : table.at("generators")) {
    TorchGenerator source(std::stoull(generator.at("seed").get<std::string>()));
    for (const auto& draw : generator.at("draws")) {
      const auto name = draw.at("name").get<std::string>();
      const auto dims = draw.at("shape").get<std::vector<int64_t>>();
      const Tensor noise = source.randn(Shape(dims));
      const std::vector<float> actual(noise.values().begin(), noise.values().end());
      EXPECT_EQ(first_difference(actual, golden.f32(name)), -1) << name;
      ++compared;
    }
  }
  EXPECT_EQ(compared, golden.names().size());
}

TEST(TorchRandom, OnlyTheLow32BitsOfTheSeedCount) {
  std::vector<float> low(64), high(64);
  TorchGenerator(5).fill_normal(low);
  TorchGenerator((uint64_t{1} << 32) + 5).fill_normal(high);
  EXPECT_EQ(first_difference(low, high), -1);
}

TEST(TorchRandom, BitsDoNotDependOnTheNumberOfThreads) {
  std::vector<float> one(100'003), other(100'003);
  set_num_threads(1);
  TorchGenerator(9).fill_normal(one);
  for (int threads : {2, 7}) {
    set_num_threads(threads);
    TorchGenerator(9).fill_normal(other);
    EXPECT_EQ(first_difference(one, other), -1) << threads;
  }
}

TEST(TorchRandom, AnEmptyDrawTakesNothingFromTheStream) {
  std::vector<float> plain(20), after_empty(20);
  TorchGenerator(3).fill_normal(plain);
  TorchGenerator source(3);
  source.fill_normal({});
  source.fill_normal(after_empty);
  EXPECT_EQ(first_difference(plain, after_empty), -1);
}

}  // namespace
}  // namespace mxvideo::pipeline
