// Whole runs against Diffusers: the same prompt, seed and image give the same latents and video.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>

#include "base/file/atomic_file.h"
#include "base/parallel.h"
#include "base/text/json.h"
#include "pipeline/golden_run.h"
#include "pipeline/request/recipe.h"
#include "pipeline/stages/decode.h"
#include "support/test_support.h"
#include "support/video_collector.h"

namespace mxvideo::pipeline {
namespace {

namespace fs = std::filesystem;

std::string step_name(int64_t index) {
  return (index < 10 ? "step0" : "step") + std::to_string(index) + ".latents";
}

class RunGolden : public testing::TestWithParam<const char*> {};

TEST_P(RunGolden, EveryStepAndTheVideoMatchDiffusers) {
  const GoldenRun run(GetParam());
  RunHooks hooks;
  int64_t steps = 0;
  hooks.on_step = [&](int64_t index, const Tensor& latents) {
    EXPECT_LT(test::relative_rms((*OnHost(latents)).values(), run.golden.f32(step_name(index))),
              1e-3)
        << "step " << index;
    ++steps;
  };
  const Generated result = generate_all(run.engine(), run.request(), hooks);
  const Tensor& video = result.video;
  EXPECT_EQ(steps, run.info["num_inference_steps"]);
  EXPECT_LT(test::relative_rms(result.latents.values(), run.golden.f32("final_latents")), 1e-3);

  for (size_t i = 0; i < result.report.steps.size(); ++i) {
    EXPECT_EQ(result.report.steps[i].timestep, run.info["timesteps"][i]);
    EXPECT_EQ(result.report.steps[i].expert, run.info["experts"][i]);
    EXPECT_NEAR(result.report.steps[i].sigma, run.golden.f32("sigmas")[i], 1e-6);
  }

  // The golden holds pixels in [0, 1], as floats or rounded to bytes.
  const bool bytes = run.golden.dtype("video") == "U8";
  const std::vector<uint8_t> expected_bytes =
      bytes ? run.golden.u8("video") : std::vector<uint8_t>{};
  const std::vector<float> expected =
      bytes ? std::vector<float>(expected_bytes.begin(), expected_bytes.end())
            : run.golden.f32("video");
  ASSERT_EQ(static_cast<size_t>(video.count()), expected.size());
  const float scale = bytes ? 255.0f : 1.0f;
  float worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const float pixel = (video.f32()[i] + 1) / 2 * scale;
    worst = std::max(worst, std::abs(pixel - expected[i]));
  }
  EXPECT_LT(worst, bytes ? 0.6f : 2e-3f);
}

INSTANTIATE_TEST_SUITE_P(
    Variants, RunGolden,
    testing::Values("t2v-a14b_t2v.safetensors", "t2v-a14b_t2v_1frame.safetensors",
                    "i2v-a14b_i2v.safetensors", "i2v-a14b_i2v_last_image.safetensors",
                    "ti2v-5b_t2v.safetensors", "ti2v-5b_i2v.safetensors",
                    "wan-tiny-ti2v_t2v.safetensors", "wan-tiny-ti2v_i2v.safetensors"));

TEST_P(RunGolden, Mxfp8StaysCloseToTheUnquantizedVideo) {
  const GoldenRun run(GetParam());
  const Generated result = generate_all(run.engine("mxfp8"), run.request());
  const double error = test::relative_rms(result.latents.values(), run.golden.f32("final_latents"));
  EXPECT_LT(error, 0.35);
  EXPECT_GT(error, 1e-3) << "nothing was quantized";
}

TEST(Run, ReportsStagesLayersKernelsAndMemory) {
  const GoldenRun run("t2v-a14b_t2v.safetensors");
  const Engine engine = run.engine("mxfp8");
  const GenerateRequest request = run.request();
  pipeline::Run job(engine, request);
  generate(job);
  const auto report = report_json(job);
  std::vector<std::string> stages;
  for (const auto& stage : report["stages"]) stages.push_back(stage["name"]);
  EXPECT_EQ(stages,
            (std::vector<std::string>{"load_text_encoder", "encode_prompt", "load_transformer",
                                      "load_transformer_2", "denoise", "load_vae", "decode"}));
  EXPECT_EQ(report["steps"].size(), run.info["num_inference_steps"].get<size_t>());
  int quantized = 0;
  for (const auto& component : report["components"]) {
    if (!component.contains("layers")) continue;
    EXPECT_LT(component["weight_bytes"], component["checkpoint_bytes"]) << component["name"];
    for (const auto& layer : component["layers"]) quantized += layer["scheme"] == "mxfp8" ? 1 : 0;
  }
  EXPECT_EQ(quantized, 2 * 2 * 10);
  EXPECT_TRUE(report["kernels"].contains("gemm_mx"));
  EXPECT_GT(report["peak_rss_bytes"], 0);
  EXPECT_EQ(report["seed"], 42);
  EXPECT_EQ(report["quantization"]["mx_scale_rule"], "rceil");
}

// Guidance of a scale next to 1 differs from none by rounding: what skips the second forward must
// give the same, and a scale must not reach the other expert.
TEST(Run, EachExpertIsGuidedByItsOwnScale) {
  const GoldenRun run("t2v-a14b_t2v.safetensors");
  const Engine pipeline = run.engine();
  struct Result {
    std::vector<float> latents;
    int64_t forwards;
    nlohmann::ordered_json recipe;
  };
  const auto with = [&](double high, double low) {
    GenerateRequest request = run.request();
    request.guidance_scale = high;
    request.guidance_scale_2 = low;
    int64_t blocks = 0;
    RunHooks hooks;
    hooks.within = [&](std::string_view phase, int64_t, int64_t, double part) {
      EXPECT_LE(part, 1);
      if (phase == "denoise") ++blocks;
    };
    const Generated result = generate_all(pipeline, request, hooks);
    const auto values = result.latents.values();
    const int64_t layers = pipeline.experts()[0].config.num_layers;
    return Result{.latents = {values.begin(), values.end()},
                  .forwards = blocks / layers,
                  .recipe = recipe_json(pipeline, request, result.request)};
  };
  constexpr double kNextToOne = 1 + 1e-6;
  const ResolvedRequest resolved = pipeline.resolve(run.request());
  const int64_t high = resolved.expert_steps[0], low = resolved.expert_steps[1];
  EXPECT_EQ(high, std::ranges::count(run.info["experts"], nlohmann::json("transformer")));
  EXPECT_EQ(low, std::ranges::count(run.info["experts"], nlohmann::json("transformer_2")));
  const Result none = with(1, 1), first = with(4, 1), second = with(1, 4), both = with(4, 4);
  EXPECT_EQ(none.forwards, high + low);
  EXPECT_EQ(first.forwards, 2 * high + low);
  EXPECT_EQ(second.forwards, high + 2 * low);
  EXPECT_EQ(both.forwards, 2 * high + 2 * low);
  EXPECT_LT(test::relative_rms(first.latents, with(4, kNextToOne).latents), 1e-4);
  EXPECT_LT(test::relative_rms(second.latents, with(kNextToOne, 4).latents), 1e-4);
  EXPECT_LT(test::relative_rms(none.latents, with(kNextToOne, kNextToOne).latents), 1e-4);
  EXPECT_GT(test::relative_rms(second.latents, none.latents), 1e-2);
  EXPECT_GT(test::relative_rms(second.latents, both.latents), 1e-2);
  EXPECT_EQ(second.recipe["guidance_scale"], 1);
  EXPECT_EQ(second.recipe["guidance_scale_2"], 4);
  EXPECT_TRUE(none.recipe["negative_prompt"].is_null());
  EXPECT_EQ(none.recipe["expert_steps"]["transformer_2"], low);
}

TEST(Run, SaysWhatChangesNothing) {
  const GoldenRun run("t2v-a14b_t2v.safetensors");
  const Engine pipeline = run.engine();
  const auto notices = [&](auto&& change) {
    GenerateRequest request = run.request();
    change(request);
    return pipeline.resolve(request).notices;
  };
  const auto expect_line = [](const std::vector<std::string>& lines, const std::string& part) {
    const bool said = std::ranges::any_of(
        lines, [&](const std::string& line) { return line.find(part) != std::string::npos; });
    EXPECT_TRUE(said) << part;
  };
  EXPECT_TRUE(notices([](auto&) {}).empty());
  expect_line(notices([](auto& r) { r.boundary_ratio = 0; }), "transformer_2, the expert for low");
  expect_line(notices([](auto& r) { r.boundary_ratio = 1; }), "transformer, the expert for high");
  expect_line(notices([](auto& r) { r.guidance_scale = r.guidance_scale_2 = 1; }),
              "the negative prompt changes nothing");
  EXPECT_TRUE(notices([](auto& r) {
                r.guidance_scale = 1;
                r.guidance_scale_2 = 3;
              }).empty());
}

TEST(Run, LatentsComeBeforeTheVideo) {
  const GoldenRun run("ti2v-5b_i2v.safetensors");
  std::vector<float> latents;
  std::string last_phase;
  RunHooks hooks;
  hooks.progress = [&](std::string_view phase, int64_t, int64_t) { last_phase = phase; };
  hooks.on_latents = [&](const Tensor& tensor) {
    EXPECT_EQ(last_phase, "denoise");
    latents.assign(tensor.values().begin(), tensor.values().end());
  };
  const Generated result = generate_all(run.engine(), run.request(), hooks);
  const Tensor& video = result.video;
  EXPECT_TRUE(std::ranges::equal(latents, result.latents.values()));
  // And the VAE alone makes the same video of them.
  const LatentDecoder decoder({.vae = model_directory(run.info["variant"]) / "vae"});
  test::VideoCollector frames;
  decoder.decode(result.latents, {.on_frames = std::ref(frames)});
  EXPECT_TRUE(std::ranges::equal(frames.take().values(), video.values()));
  EXPECT_EQ(decoder.video_shape(result.latents.shape()), video.shape());
  EXPECT_EQ(test::expect_error([&] {
              decoder.check_latents({16, 1, 4, 4}, "x");
            }).code(),
            Code::kInvalidArgument);
}

TEST(Run, GivesTheSameBitsForAnyThreadCount) {
  const GoldenRun run("ti2v-5b_i2v.safetensors");
  std::vector<float> first;
  for (int threads : {1, 2, 7}) {
    set_num_threads(threads);
    const Tensor video = generate_all(run.engine("mxfp8"), run.request()).video;
    if (first.empty()) first.assign(video.values().begin(), video.values().end());
    EXPECT_TRUE(std::ranges::equal(first, video.values())) << threads << " threads";
  }
  set_num_threads(2);
}

TEST(Run, TakesInitialNoiseInsteadOfTheSeed) {
  const GoldenRun run("ti2v-5b_t2v.safetensors");
  GenerateRequest request = run.request();
  request.seed = 999;
  request.initial_noise = Tensor::from_values({48, 3, 4, 6}, run.golden.f32("noise"));
  const Generated result = generate_all(run.engine(), request);
  EXPECT_LT(test::relative_rms(result.latents.values(), run.golden.f32("final_latents")), 1e-3);
  request.initial_noise = Tensor::zeros({48, 3, 4, 4});
  EXPECT_EQ(test::expect_error([&] { generate_all(run.engine(), request); }).code(),
            Code::kInvalidArgument);
}

TEST(Run, GuardStopsAtTheStepAndNamesTheLayer) {
  const GoldenRun run("ti2v-5b_t2v.safetensors");
  GenerateRequest request = run.request();
  request.initial_noise = Tensor::from_values({48, 3, 4, 6}, run.golden.f32("noise"));
  request.initial_noise->f32()[7] = std::numeric_limits<float>::quiet_NaN();
  const Error error = test::expect_error([&] { generate_all(run.engine(), request); });
  EXPECT_EQ(error.code(), Code::kNumerics);
  EXPECT_NE(std::string(error.what()).find("step 1 of 8"), std::string::npos) << error.what();
  EXPECT_NE(std::string(error.what()).find("blocks.input"), std::string::npos) << error.what();
}

TEST(Run, StopsWhenCancelledWithinAStep) {
  const GoldenRun run("ti2v-5b_t2v.safetensors");
  CancellationToken token;
  RunHooks hooks;
  hooks.cancellation = &token;
  int64_t steps = 0;
  hooks.on_step = [&](int64_t, const Tensor&) {
    if (++steps == 2) token.cancel();
  };
  EXPECT_EQ(test::expect_error([&] { generate_all(run.engine(), run.request(), hooks); }).code(),
            Code::kCancelled);
  EXPECT_EQ(steps, 2);
}

TEST(Run, RefusesAnIgnorePatternThatMatchesNothing) {
  PipelineOptions options;
  options.model_directory = test::golden_path("models/ti2v-5b");
  options.quantization.scheme = "mxfp8";
  options.quantization.ignored_layers = {"blocks.77.*"};
  const Error error = test::expect_error([&] { const Engine engine(options); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
}

// A copy of a model directory in which one JSON field is changed.
TEST(Run, RefusesComponentsThatDoNotFitTogether) {
  const test::TemporaryDirectory temporary;
  const fs::path model = temporary.path() / "model";
  fs::copy(test::golden_path("models/ti2v-5b"), model, fs::copy_options::recursive);
  const fs::path config = model / "transformer" / "config.json";
  nlohmann::json json = read_json_file(config);
  json["text_dim"] = 128;
  write_file_atomically(config, json.dump());
  PipelineOptions options;
  options.model_directory = model;
  const Error error = test::expect_error([&] { const Engine engine(options); });
  EXPECT_EQ(error.code(), Code::kCorruptFile);
  EXPECT_NE(std::string(error.what()).find("text_dim 128"), std::string::npos) << error.what();
}

}  // namespace
}  // namespace mxvideo::pipeline
