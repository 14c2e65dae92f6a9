// Every row of the table through what is made of it; a new row is tested without a line here.
#include "pipeline/request/request_fields.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/error.h"
#include "pipeline/request/recipe.h"
#include "support/expect_error.h"
#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::pipeline {
namespace {

using Json = nlohmann::ordered_json;

// A value of the row's kind, not its default.
struct Sample {
  const RequestField& field;

  Json operator()(std::string RequestForm::*) const { return "some " + field.name; }
  Json operator()(std::optional<std::string> RequestForm::*) const { return "some " + field.name; }
  Json operator()(std::optional<int64_t> RequestForm::*) const { return 17; }
  Json operator()(std::optional<uint64_t> RequestForm::*) const { return UINT64_MAX; }
  Json operator()(std::optional<double> RequestForm::*) const { return 0.375; }
  Json operator()(const ChoiceField& choice) const { return choice.names.back(); }
  Json operator()(const ListField&) const { return {"a=b", "c=d"}; }
};

Json sample(const RequestField& field) { return std::visit(Sample{field}, field.value); }

TEST(RequestFields, EveryFieldIsReadAsItIsWritten) {
  RequestForm form;
  for (const RequestField& field : request_fields()) set_field(field, sample(field), form);
  for (const RequestField& field : request_fields()) {
    EXPECT_EQ(field_json(field, form), sample(field)) << field.name;
    EXPECT_NE(field_json(field, RequestForm()), sample(field)) << field.name;
    const RequestForm before = form;
    set_field(field, nullptr, form);
    EXPECT_EQ(field_json(field, form), field_json(field, before)) << "null states nothing";
  }
}

TEST(RequestFields, EveryErrorSaysWhichFieldIsWrong) {
  for (const RequestField& field : request_fields()) {
    RequestForm form;
    for (const Json& wrong : {Json::object(), Json(true), Json::array({1})}) {
      const Error error = test::expect_error([&] { set_field(field, wrong, form); });
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_EQ(error.field(), field.name) << error.what();
    }
    EXPECT_EQ(field_json(field, form), field_json(field, RequestForm())) << field.name;
    if (field.minimum == field.maximum) continue;
    check_range(field.name, field.minimum);
    check_range(field.name, field.maximum);
    for (const double outside :
         {std::nextafter(field.minimum, -1e9), std::nextafter(field.maximum, 1e9), std::nan("")}) {
      const Error error = test::expect_error([&] { check_range(field.name, outside); });
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_EQ(error.field(), field.name) << error.what();
    }
  }
}

TEST(RequestFields, NumbersOfOtherKindsAreRefused) {
  RequestForm form;
  const auto refused = [&](const char* name, const Json& value) {
    const Error error = test::expect_error([&] { set_field(request_field(name), value, form); });
    return error.field() == name;
  };
  EXPECT_TRUE(refused("width", 64.0));
  EXPECT_TRUE(refused("width", "64"));
  EXPECT_TRUE(refused("width", UINT64_MAX));
  EXPECT_TRUE(refused("seed", -1));
  EXPECT_TRUE(refused("seed", 1.5));
  EXPECT_TRUE(refused("guidance_scale", "4"));
  EXPECT_TRUE(refused("sigma_grid", "euler"));
  EXPECT_TRUE(refused("kernel", {"gemm_mx"}));
  EXPECT_TRUE(refused("prompt", " \t"));
  EXPECT_TRUE(refused("text_cache", ""));
  set_field(request_field("guidance_scale"), 4, form);
  EXPECT_EQ(form.guidance_scale, 4.0);
}

TEST(RequestFields, NoNameIsTakenTwice) {
  std::set<std::string> names, recipe;
  std::set<char> letters;
  for (const RequestField& field : request_fields()) {
    EXPECT_TRUE(names.insert(field.name).second) << field.name;
    for (const std::string& alias : field.aliases) EXPECT_TRUE(names.insert(alias).second) << alias;
    EXPECT_TRUE(field.letter == 0 || letters.insert(field.letter).second) << field.letter;
    EXPECT_TRUE(field.recipe.empty() || recipe.insert(field.recipe).second) << field.recipe;
  }
}

// What a recipe says, read again, is what it was made of.
TEST(Recipe, EveryFieldOfARunIsReadBack) {
  PipelineOptions options;
  options.model_directory = test::golden_path("models/i2v-a14b");
  options.weights_paths = {{"transformer_2", test::golden_path("models/i2v-a14b/transformer_2")}};
  options.quantization = {.scheme = "mxfp8",
                          .ignored_layers = {"blocks.0.*"},
                          .mx = {.scale_rule = formats::ScaleRule::kFloor}};
  options.text_quantization = "mxint8";
  options.policy = {.forced_rows = {{"matmul", "reference"}},
                    .compute = kernels::Compute::kExact,
                    .attention = kernels::AttentionProducts::kInt8};
  const Engine model(options);
  GenerateRequest request;
  request.prompt = "a fox";
  request.negative_prompt = "blur";
  request.image = media::RgbImage{.size = {.height = 32, .width = 32}, .pixels = {}};
  request.image_fit = ImageFit::kContain;
  request.width = request.height = 64;
  request.num_frames = 9;
  request.fps = 7;
  request.num_inference_steps = 6;
  request.guidance_scale = 2.5;
  request.guidance_scale_2 = 4.5;
  request.flow_shift = 2.25;
  request.boundary_ratio = 0.5;
  request.sigma_grid = SigmaGrid::kWan;
  request.seed = UINT64_MAX;
  request.vae_tiling = VaeTilingMode::kOn;
  const Json recipe = recipe_json(model, request, model.resolve(request));
  const RequestForm read = read_recipe(Json::parse(recipe.dump()));
  for (const RequestField& field : request_fields()) {
    if (field.recipe.empty() || field.name.starts_with("transformer")) continue;
    const Json written = recipe.at(Json::json_pointer(field.recipe));
    EXPECT_FALSE(written.is_null()) << field.name;
    EXPECT_EQ(field_json(field, read), field.name == "vae_tiling" ? Json("on") : written)
        << field.name;
  }
  EXPECT_EQ(read.transformer_2_weights_path, test::golden_path("models/i2v-a14b/transformer_2"));
  EXPECT_EQ(read.transformer_path, "");
  EXPECT_EQ(read.quantization.mx.scale_rule, formats::ScaleRule::kFloor);
  EXPECT_EQ(read.policy.forced_rows, model.options().policy.forced_rows);
  EXPECT_EQ(read.image_fit, ImageFit::kContain);
}

TEST(Recipe, WhatIsNoFieldIsRefused) {
  const Json recipe = {{"engine", "mxvideo"}, {"num_frames", 5}, {"quantization", "mxfp8"}};
  for (const auto& [key, value] : {std::pair<const char*, Json>{"frames", 5},
                                   {"quantization", {{"shceme", "mxfp8"}}},
                                   {"quantization", "mxfp8"}}) {
    const Error error = test::expect_error([&] { read_recipe({{key, value}}); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find(key), std::string::npos) << error.what();
  }
  EXPECT_EQ(test::expect_error([] { read_recipe({{"num_frames", "5"}}); }).field(), "num_frames");
  EXPECT_EQ(read_recipe({{"quantization", {{"scheme", "config.json"}}}}).quantization.scheme, "");
}

}  // namespace
}  // namespace mxvideo::pipeline
