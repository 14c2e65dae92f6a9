#include "checkpoint/wan/experts.h"

#include <gtest/gtest.h>

#include "checkpoint/safetensors_writer.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;
using mxvideo::test::TemporaryDirectory;
using test::expect_error_with;

std::string said(const char* expert) { return expert == nullptr ? "neither" : expert; }

// Names as published by Comfy-Org, Kijai, QuantStack, lightx2v, Wan-AI, msmodelslim and in merges.
TEST(ExpertOfName, ReadsEverySpelling) {
  for (const char* name :
       {"wan2.2_t2v_high_noise_14B_fp16.safetensors", "Wan2_2-T2V-A14B-HIGH_bf16.safetensors",
        "Wan2_2-I2V-A14B-HIGH_fp8_e4m3fn_scaled_KJ.safetensors", "HighNoise",
        "Wan2.2-T2V-A14B-HighNoise-Q4_K_M.gguf", "wan22-i2v-high-noise.safetensors",
        "wan2.2_i2v_A14b_high_noise_lightx2v_4step.safetensors", "high_noise_model",
        "DasiwaWAN22I2V14BV8_tastysinHighV81.safetensors", "wan22highnoise.safetensors",
        "wan_high_14B.safetensors", "HIGHNoise", "wan22_t2v_HN.safetensors",
        "wan2.2-HN-q8.safetensors", "high-noise-low-vram", "smoothMix_i2vHigh.safetensors"}) {
    EXPECT_EQ(said(expert_of_name(name)), kHighNoiseExpert) << name;
    std::string low = name;
    for (const auto& [from, to] : {std::pair("HIGH", "LOW"), {"High", "Low"}, {"high", "low"}}) {
      const size_t at = low.find(from);
      if (at != low.npos) low.replace(at, std::string(from).size(), to);
    }
    if (low == name) low.replace(low.find("HN"), 2, "LN");
    EXPECT_EQ(said(expert_of_name(low)), kLowNoiseExpert) << low;
  }
}

TEST(ExpertOfName, IsSilentWhereTheNameIs) {
  for (const char* name :
       {"diffusion_pytorch_model.safetensors", "transformer", "wan_high_quality.safetensors",
        "low_vram", "wan_low_precision_14B", "high_and_low", "high_noise_low_noise", "flow", "slow",
        "yellow.safetensors", "below", "highlight", "wan_highres", ""}) {
    EXPECT_EQ(said(expert_of_name(name)), "neither") << name;
  }
}

TEST(ExpertOfPath, JudgesByItsOwnName) {
  const auto path = [](const char* text) { return said(expert_of_path(text)); };
  EXPECT_EQ(path("/x/high_noise_experiments/wan_low_noise.safetensors"), kLowNoiseExpert);
  EXPECT_EQ(path("/x/high_noise_experiments/model.safetensors"), "neither");
  EXPECT_EQ(path("/x/my_high_noise_model/model.safetensors"), "neither");
  EXPECT_EQ(path("/x/high_noise_model/wan_LOW.safetensors"), kLowNoiseExpert);
  EXPECT_EQ(path("/x/high_noise_model/diffusion_pytorch_model.safetensors"), kHighNoiseExpert);
  EXPECT_EQ(path("/x/high_noise_model/v2/model.safetensors"), kHighNoiseExpert);
  EXPECT_EQ(path("/x/high_noise_model/low_noise_model/m.safetensors"), kLowNoiseExpert);
  EXPECT_EQ(path("export/low_noise_model/"), kLowNoiseExpert);
  EXPECT_EQ(path("low_noise_model/."), kLowNoiseExpert);
  EXPECT_EQ(path("/x/HighNoise/model.safetensors"), kHighNoiseExpert);
  EXPECT_EQ(path("/x/LowNoise/model.safetensors"), kLowNoiseExpert);
  EXPECT_EQ(path("/low-noise/runs/7/model.safetensors"), "neither");
  EXPECT_EQ(path("/x/transformer_2/diffusion_pytorch_model.safetensors"), kLowNoiseExpert);
  EXPECT_EQ(path("/x/transformer_2"), kLowNoiseExpert);
  EXPECT_EQ(path("/x/transformer/diffusion_pytorch_model.safetensors"), "neither");
}

TEST(CheckExpertPath, TheFoundNameWinsOverTheGivenOne) {
  EXPECT_NO_THROW(check_expert_path(kLowNoiseExpert, "high_noise_runs", "high_noise_runs/LOW.x"));
  EXPECT_NO_THROW(check_expert_path(kHighNoiseExpert, "run", "run/model.safetensors"));
  expect_error_with(Code::kInvalidArgument, "transformer is the expert for high noise; got", [] {
    check_expert_path(kHighNoiseExpert, "wan-low-noise", "wan-low-noise/model.safetensors");
  });
  expect_error_with(Code::kInvalidArgument, "whose name says high noise", [] {
    check_expert_path(kLowNoiseExpert, "a-HIGH.safetensors", "a-HIGH.safetensors");
  });
}

class Experts : public testing::Test {
 protected:
  // A file with two tensors of values from `value` up.
  fs::path write(const std::string& name, float value) {
    const fs::path path = folder_.path() / name;
    Tensor bias(DType::kF32, {4}), table(DType::kF32, {2, 4});
    for (Tensor* tensor : {&bias, &table}) {
      for (int64_t i = 0; i < tensor->count(); ++i) {
        tensor->f32()[i] = value + static_cast<float>(i);
      }
    }
    const std::vector<NamedTensor> tensors = {{.name = "bias", .view = bias.view()},
                                              {.name = "table", .view = table.view()}};
    write_safetensors(path, tensors, {});
    return path;
  }
  static Checkpoint open(const fs::path& path) { return Checkpoint::open_file(path); }

  TemporaryDirectory folder_;
};

TEST_F(Experts, OneFileForBothIsRefusedThroughLinksToo) {
  const fs::path high = write("a.safetensors", 1), low = write("b.safetensors", 2);
  fs::create_symlink(high, folder_.path() / "soft.safetensors");
  fs::create_hard_link(high, folder_.path() / "hard.safetensors");
  EXPECT_NO_THROW(check_experts_differ(open(high), open(low)));
  for (const char* name : {"a.safetensors", "soft.safetensors", "hard.safetensors"}) {
    expect_error_with(Code::kInvalidArgument, "both experts are read from one file",
                      [&] { check_experts_differ(open(high), open(folder_.path() / name)); });
  }
}

TEST_F(Experts, ACopyForTheOtherIsRefused) {
  const fs::path high = write("a.safetensors", 1), copy = write("b.safetensors", 1);
  expect_error_with(Code::kInvalidArgument, "both experts are the same: ", [&] {
    check_experts_differ(open(high), open(copy));
  });
}

TEST_F(Experts, ContentTellsTheExpertsOfAnOriginal) {
  const Checkpoint high = open(write("high.safetensors", 1)),
                   low = open(write("low.safetensors", 2)),
                   tuned = open(write("tuned.safetensors", 1.01f)),
                   between = open(write("between.safetensors", 1.5f));
  EXPECT_NO_THROW(check_expert_content(kHighNoiseExpert, high, high, low));
  EXPECT_NO_THROW(check_expert_content(kHighNoiseExpert, tuned, high, low));
  EXPECT_NO_THROW(check_expert_content(kHighNoiseExpert, between, high, low));
  EXPECT_NO_THROW(check_expert_content(kHighNoiseExpert, low, high, high));
  expect_error_with(Code::kMismatch, "2 of its float tensors are those of transformer_2",
                    [&] { check_expert_content(kHighNoiseExpert, low, high, low); });
  expect_error_with(Code::kMismatch, "the experts are swapped",
                    [&] { check_expert_content(kLowNoiseExpert, tuned, low, high); });
}

}  // namespace
}  // namespace mxvideo::checkpoint
