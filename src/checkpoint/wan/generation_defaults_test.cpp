#include "checkpoint/wan/generation_defaults.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

using checkpoint::WanVariant;

class GenerationDefaultsFile : public testing::Test {
 protected:
  GenerationDefaults read(const std::string& text, WanVariant variant = WanVariant::kTI2V) const {
    std::ofstream(scratch_.path() / "generation_config.json") << text;
    return read_generation_defaults(scratch_.path(), variant);
  }
  void expect_refused(const std::string& text, const std::string& part) const {
    const Error error = test::expect_error([&] { read(text); });
    EXPECT_EQ(error.code(), Code::kCorruptFile);
    EXPECT_NE(std::string(error.what()).find("generation_config.json"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }

  test::TemporaryDirectory scratch_;
};

TEST_F(GenerationDefaultsFile, WithoutOneTheFamilyDecides) {
  const GenerationDefaults values = read_generation_defaults(scratch_.path(), WanVariant::kT2V);
  EXPECT_EQ(values.width, 1280);
  EXPECT_EQ(values.height, 720);
  EXPECT_EQ(values.num_frames, 81);
  EXPECT_EQ(values.guidance_scale_2, 3.0);
  EXPECT_EQ(values.from_model, "");
}

TEST_F(GenerationDefaultsFile, ReplacesWhatItNames) {
  const GenerationDefaults values = read(
      R"({"_note": 1, "width": 128, "height": 96, "num_frames": 17, "fps": 8,
          "num_inference_steps": 20, "guidance_scale": 3, "negative_prompt": ""})");
  EXPECT_EQ(values.width, 128);
  EXPECT_EQ(values.height, 96);
  EXPECT_EQ(values.num_frames, 17);
  EXPECT_EQ(values.fps, 8);
  EXPECT_EQ(values.num_inference_steps, 20);
  EXPECT_EQ(values.guidance_scale, 3.0);
  EXPECT_EQ(values.negative_prompt, "");
  EXPECT_NE(values.from_model.find("num_frames"), std::string::npos);
}

TEST_F(GenerationDefaultsFile, KeepsTheFamilysOthers) {
  const GenerationDefaults values = read(R"({"fps": 8})");
  EXPECT_EQ(values.fps, 8);
  EXPECT_EQ(values.width, 1280);
  EXPECT_NE(values.negative_prompt, "");
  EXPECT_EQ(values.from_model, "fps");
}

TEST_F(GenerationDefaultsFile, RefusesWhatItCannotFollow) {
  expect_refused("[]", "object");
  expect_refused(R"({"widht": 128})", "widht");
  expect_refused(R"({"width": "128"})", "width");
  expect_refused(R"({"num_frames": 0})", "num_frames");
  expect_refused(R"({"guidance_scale": -1})", "guidance_scale");
  expect_refused(R"({"guidance_scale_2": 3})", "guidance_scale_2");  // one transformer only
  EXPECT_EQ(read(R"({"guidance_scale_2": 2})", WanVariant::kT2V).guidance_scale_2, 2.0);
}

}  // namespace
}  // namespace mxvideo::checkpoint
