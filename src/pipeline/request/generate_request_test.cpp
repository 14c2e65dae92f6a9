#include "pipeline/request/generate_request.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/text/field.h"
#include "support/test_support.h"

namespace mxvideo::pipeline {
namespace {

using checkpoint::WanVariant;

ModelRules rules(WanVariant variant) {
  const bool tiny = variant == WanVariant::kTI2V;
  return {.variant = variant,
          .pixel_multiple = tiny ? 32 : 16,
          .frame_stride = 4,
          .boundary_ratio = tiny ? 0.0 : 0.9,
          .flow_shift = tiny ? 5.0 : 3.0,
          .defaults = checkpoint::family_defaults(variant)};
}

GenerateRequest small_request() {
  GenerateRequest request;
  request.prompt = "x";
  request.width = 64;
  request.height = 96;
  request.num_frames = 9;
  return request;
}

media::RgbImage image(int64_t width, int64_t height) {
  return {.size = {.height = height, .width = width},
          .pixels = std::vector<uint8_t>(static_cast<size_t>(width * height * 3))};
}

std::string message_of(const GenerateRequest& request, WanVariant variant) {
  const Error error = test::expect_error([&] { resolve_request(request, rules(variant)); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  return error.what();
}

void expect_message(const GenerateRequest& request, WanVariant variant, const std::string& part) {
  const std::string message = message_of(request, variant);
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(ResolveRequest, FillsInTheDefaultsOfEachVariant) {
  GenerateRequest request;
  const ResolvedRequest t2v = resolve_request(request, rules(WanVariant::kT2V));
  EXPECT_EQ(t2v.width, 1280);
  EXPECT_EQ(t2v.height, 720);
  EXPECT_EQ(t2v.num_frames, 81);
  EXPECT_EQ(t2v.fps, 16);
  EXPECT_EQ(t2v.num_inference_steps, 40);
  EXPECT_EQ(t2v.guidance_scale, 4.0);
  EXPECT_EQ(t2v.guidance_scale_2, 3.0);
  EXPECT_EQ(t2v.boundary_ratio, 0.9);
  EXPECT_EQ(t2v.flow_shift, 3.0);
  EXPECT_FALSE(t2v.negative_prompt.empty());
  const ResolvedRequest ti2v = resolve_request(request, rules(WanVariant::kTI2V));
  EXPECT_EQ(ti2v.height, 704);
  EXPECT_EQ(ti2v.num_frames, 121);
  EXPECT_EQ(ti2v.fps, 24);
  EXPECT_EQ(ti2v.num_inference_steps, 50);
  EXPECT_EQ(ti2v.guidance_scale, 5.0);
}

TEST(ResolveRequest, GuidanceScale2FollowsAGivenGuidanceScale) {
  GenerateRequest request = small_request();
  request.guidance_scale = 6;
  EXPECT_EQ(resolve_request(request, rules(WanVariant::kT2V)).guidance_scale_2, 6.0);
  request.guidance_scale_2 = 2;
  EXPECT_EQ(resolve_request(request, rules(WanVariant::kT2V)).guidance_scale_2, 2.0);
  expect_message(request, WanVariant::kTI2V, field("guidance_scale_2"));
}

TEST(ResolveRequest, NamesTheNearestValidSizes) {
  GenerateRequest request = small_request();
  request.width = 850;
  expect_message(request, WanVariant::kT2V, "nearest valid: 848 or 864");
  expect_message(request, WanVariant::kTI2V, "nearest valid: 832 or 864");
  request.width = -5;
  expect_message(request, WanVariant::kT2V, "nearest valid: 16 or 32");
  request.width = int64_t{1} << 60;
  expect_message(request, WanVariant::kT2V, "up to 16384");
  request.width = 64;
  request.height.reset();
  expect_message(request, WanVariant::kT2V, "together");
}

TEST(ResolveRequest, NamesTheNearestValidFrameCounts) {
  GenerateRequest request = small_request();
  request.num_frames = 80;
  expect_message(request, WanVariant::kT2V, "nearest valid: 77 or 81");
  request.num_frames = 0;
  expect_message(request, WanVariant::kT2V, "nearest valid: 1 or 5");
  request.num_frames = INT64_MIN;
  expect_message(request, WanVariant::kT2V, "nearest valid: 1 or 5");
}

TEST(ResolveRequest, RefusesNumbersOutOfRange) {
  const auto with = [](auto&& change) {
    GenerateRequest request = small_request();
    change(request);
    return request;
  };
  expect_message(with([](auto& r) { r.num_inference_steps = 0; }), WanVariant::kT2V,
                 field("num_inference_steps"));
  expect_message(with([](auto& r) { r.num_inference_steps = 5000; }), WanVariant::kT2V,
                 field("num_inference_steps"));
  expect_message(with([](auto& r) { r.fps = 0; }), WanVariant::kT2V, field("fps"));
  expect_message(with([](auto& r) { r.guidance_scale = std::nan(""); }), WanVariant::kT2V,
                 field("guidance_scale"));
  expect_message(with([](auto& r) { r.guidance_scale_2 = -1; }), WanVariant::kT2V,
                 field("guidance_scale_2"));
  expect_message(with([](auto& r) { r.boundary_ratio = 1.5; }), WanVariant::kT2V,
                 field("boundary_ratio"));
  expect_message(with([](auto& r) { r.boundary_ratio = 0.5; }), WanVariant::kTI2V,
                 field("boundary_ratio"));
  expect_message(with([](auto& r) { r.flow_shift = 0; }), WanVariant::kT2V, field("flow_shift"));
}

TEST(ResolveRequest, ImagesGoWithTheRightVariants) {
  GenerateRequest request = small_request();
  expect_message(request, WanVariant::kI2V, field("image_path") + " is missing");
  request.image = image(64, 96);
  expect_message(request, WanVariant::kT2V, "takes no image");
  EXPECT_EQ(resolve_request(request, rules(WanVariant::kI2V)).width, 64);
  EXPECT_EQ(resolve_request(request, rules(WanVariant::kTI2V)).width, 64);
  request.last_image = image(64, 96);
  expect_message(request, WanVariant::kTI2V, field("last_image_path"));
}

TEST(ResolveRequest, ScalesThatDoNotGuideAreOneAndSaySo) {
  for (const double scale : {0.0, 0.5}) {
    GenerateRequest request = small_request();
    request.guidance_scale = scale;
    request.guidance_scale_2 = 4;
    const ResolvedRequest resolved = resolve_request(request, rules(WanVariant::kT2V));
    EXPECT_EQ(resolved.guidance_scale, 1);
    EXPECT_FALSE(resolved.guided(0));
    EXPECT_TRUE(resolved.guided(1));
    ASSERT_EQ(resolved.notices.size(), 1u);
    EXPECT_NE(resolved.notices[0].find("is computed as 1"), std::string::npos);
  }
}

TEST(ResolveRequest, OneFrameHasNoLastImage) {
  GenerateRequest request = small_request();
  request.image = image(64, 96);
  request.last_image = image(64, 96);
  request.num_frames = 1;
  expect_message(request, WanVariant::kI2V, "expected " + field("num_frames") + " 5 or more");
  request.num_frames = 5;
  resolve_request(request, rules(WanVariant::kI2V));
}

// What other programs take for commands: spellings of their documentation.
TEST(ResolveRequest, CommandsOfOtherProgramsInAPromptAreSaid) {
  const auto lines = [](const std::string& prompt) {
    GenerateRequest request = small_request();
    request.prompt = prompt;
    return resolve_request(request, rules(WanVariant::kT2V)).notices;
  };
  for (const char* prompt : {"a (red:1.5) fox", "(snow: 0.8)", "a [cat:dog:0.5]", "a [:dog:10]",
                             "embedding:easynegative, a fox", "((a)(b:.5))"}) {
    ASSERT_EQ(lines(prompt).size(), 1u) << prompt;
    EXPECT_NE(lines(prompt)[0].find("is read as it stands"), std::string::npos);
  }
  for (const char* prompt :
       {"a fox (red)", "a fox: red", "at noon (10:30)", "16:9", "(ratio 16:9)", "[a note]",
        "a list (one: two)", "embedding: a word", "(", ":)", "(:1)", "[10:30]"}) {
    EXPECT_TRUE(lines(prompt).empty()) << prompt;
  }
  GenerateRequest request = small_request();
  for (const char* prompt : {"a fox <lora:snow:0.8>", "<LORA:x:1>", "<lyco:x>", "<hypernet:a:1>"}) {
    request.prompt = prompt;
    expect_message(request, WanVariant::kT2V, "asks for an additional network");
  }
  request.prompt = "a fox";
  request.negative_prompt = "<lora:x:1>";
  expect_message(request, WanVariant::kT2V, "negative prompt: '<lora:x:1>'");
}

TEST(ResolveRequest, SizeFollowsTheImageWhenNoneIsGiven) {
  GenerateRequest request;
  request.image = image(1000, 1000);
  const ResolvedRequest i2v = resolve_request(request, rules(WanVariant::kI2V));
  EXPECT_EQ(i2v.width, 960);
  EXPECT_EQ(i2v.height, 960);
  const ResolvedRequest ti2v = resolve_request(request, rules(WanVariant::kTI2V));
  EXPECT_EQ(ti2v.width % 32, 0);
  EXPECT_NEAR(static_cast<double>(ti2v.width) / static_cast<double>(ti2v.height), 1.0, 0.05);
}

}  // namespace
}  // namespace mxvideo::pipeline
