#include "checkpoint/wan/expert_files.h"

#include <gtest/gtest.h>

#include "base/file/atomic_file.h"
#include "checkpoint/wan/experts.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;
using test::expect_error_with;

// Only names matter here.
class ExpertFilesTest : public testing::Test {
 protected:
  void add(const fs::path& name) {
    fs::create_directories((root() / name).parent_path());
    write_file_atomically(root() / name, "x");
  }
  const fs::path& root() const { return folder_.path(); }
  ExpertFiles pair(const fs::path& high, const fs::path& low) const {
    return {{kHighNoiseExpert, root() / high}, {kLowNoiseExpert, root() / low}};
  }

 private:
  mxvideo::test::TemporaryDirectory folder_;
};

TEST_F(ExpertFilesTest, FindsAPairOfFilesOfAnySpelling) {
  add("Wan2_2-T2V-A14B-HIGH_bf16.safetensors");
  add("Wan2_2-T2V-A14B-LOW_bf16.safetensors");
  add("complete.json");
  EXPECT_EQ(find_experts(root()),
            pair("Wan2_2-T2V-A14B-HIGH_bf16.safetensors", "Wan2_2-T2V-A14B-LOW_bf16.safetensors"));
  EXPECT_EQ(find_expert(root(), kLowNoiseExpert), root() / "Wan2_2-T2V-A14B-LOW_bf16.safetensors");
}

TEST_F(ExpertFilesTest, FindsAPairOfFolders) {
  add("HighNoise/model.safetensors");
  add("LowNoise/model.safetensors");
  EXPECT_EQ(find_experts(root()), pair("HighNoise", "LowNoise"));
  EXPECT_EQ(find_expert(root(), kHighNoiseExpert), root() / "HighNoise");
}

TEST_F(ExpertFilesTest, HalfAPairServesOneExpert) {
  add("wan-low-noise.safetensors");
  EXPECT_EQ(find_expert(root(), kLowNoiseExpert), root() / "wan-low-noise.safetensors");
  expect_error_with(Code::kNotFound, "got none and wan-low-noise.safetensors",
                    [&] { find_expert(root(), kHighNoiseExpert); });
  expect_error_with(Code::kNotFound, "by their names", [&] { find_experts(root()); });
}

TEST_F(ExpertFilesTest, SeveralPairsAreNotGuessed) {
  for (const char* kind : {"t2v", "i2v"}) {
    add("wan_" + std::string(kind) + "_high_noise.safetensors");
    add("wan_" + std::string(kind) + "_low_noise.safetensors");
  }
  expect_error_with(Code::kCorruptFile, "wan_i2v_high_noise.safetensors, wan_t2v_high_noise",
                    [&] { find_expert(root(), kHighNoiseExpert); });
}

TEST_F(ExpertFilesTest, OneFileIsTheTransformer) {
  add("wan2.2_ti2v_5B_fp16.safetensors");
  const fs::path file = root() / "wan2.2_ti2v_5B_fp16.safetensors";
  EXPECT_EQ(find_experts(root()), (ExpertFiles{{kHighNoiseExpert, file}}));
  EXPECT_EQ(find_experts(file), (ExpertFiles{{kHighNoiseExpert, file}}));
  EXPECT_EQ(find_expert(root(), kLowNoiseExpert), file);
}

TEST_F(ExpertFilesTest, AComponentIsItself) {
  add("config.json");
  add("diffusion_pytorch_model-00001-of-00002.safetensors");
  add("diffusion_pytorch_model.safetensors.index.json");
  EXPECT_EQ(find_expert(root(), kHighNoiseExpert), root());
  EXPECT_EQ(find_expert(root() / "diffusion_pytorch_model.safetensors.index.json", kLowNoiseExpert),
            root());
}

TEST_F(ExpertFilesTest, WholeModelsGiveTheirComponent) {
  add("high_noise_model/x.safetensors");
  expect_error_with(Code::kNotFound, "no folder low_noise_model", [&] { find_experts(root()); });
  add("low_noise_model/x.safetensors");
  EXPECT_EQ(find_expert(root(), kLowNoiseExpert), root() / "low_noise_model");
}

TEST_F(ExpertFilesTest, NothingIsNamed) {
  expect_error_with(Code::kNotFound, "no Wan2.2 transformer here", [&] { find_experts(root()); });
  expect_error_with(Code::kNotFound, "no such file", [&] { find_experts(root() / "x"); });
  EXPECT_EQ(find_expert(root(), kHighNoiseExpert), root());
}

}  // namespace
}  // namespace mxvideo::checkpoint
