#include "models/wan_vae/wan_vae.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "base/parallel.h"
#include "models/wan_vae/wan_vae_test_support.h"
#include "support/test_support.h"

namespace mxvideo::models {
namespace {

// Compares intermediates as they come, so that the first mismatch is the first one reported.
class Comparison {
 public:
  Comparison(const test::GoldenFile& file, std::string half) : file_(file), half_(std::move(half)) {
    for (const std::string& name : file.names()) {
      if (name.starts_with("chunk")) pending_.insert(name);
    }
  }

  void operator()(const std::string& name, const Tensor& value) {
    // "chunk0.decoder.conv_in" is "chunk0.conv_in" in the file.
    std::string golden_name = name;
    const size_t at = golden_name.find(half_ + ".");
    if (at != std::string::npos) golden_name.erase(at, half_.size() + 1);
    if (name.ends_with(".post_quant_conv") && file_.has("post_quant_conv")) {
      expect_frame_near(name, value);
    }
    if (pending_.erase(golden_name) == 0) return;
    expect_near(golden_name, value, channels_last(file_, golden_name));
  }
  // The reference runs post_quant_conv on all frames at once, one chunk per frame here.
  void expect_frame_near(const std::string& name, const Tensor& value) {
    Golden golden = channels_last(file_, "post_quant_conv");
    const std::span<const float> all(golden.values);
    const auto count = static_cast<size_t>(value.count());
    ASSERT_LE((frames_ + 1) * count, all.size()) << name;
    const auto frame = all.subspan(frames_++ * count, count);
    golden.shape[0] = 1;
    golden.values = std::vector<float>(frame.begin(), frame.end());
    expect_near(name, value, golden);
  }
  void expect_complete() const {
    for (const std::string& name : pending_) ADD_FAILURE() << name << " was never observed";
  }

 private:
  const test::GoldenFile& file_;
  std::string half_;
  std::set<std::string> pending_;
  size_t frames_ = 0;
};

class WanVaeParity : public testing::TestWithParam<std::tuple<std::string, int>> {};

TEST_P(WanVaeParity, DecodeMatchesTheReference) {
  const auto& [form, frames] = GetParam();
  const test::GoldenFile file("vae/" + form + "_decode_f" + std::to_string(frames) +
                              ".safetensors");
  kernels::Context context;
  Comparison comparison(file, "decoder");
  const WanVaeRun run{.context = &context, .observe = std::ref(comparison)};
  const Tensor video = decode(shared_vae(form), latents_of(file, "input"), run);
  comparison.expect_complete();
  expect_near("output", video, channels_last(file, "output"));
}

TEST_P(WanVaeParity, EncodeMatchesTheReference) {
  const auto& [form, frames] = GetParam();
  const test::GoldenFile file("vae/" + form + "_encode_f" + std::to_string(frames) +
                              ".safetensors");
  kernels::Context context;
  Comparison comparison(file, "encoder");
  const WanVaeRun run{.context = &context, .observe = std::ref(comparison)};
  const Tensor latents = shared_vae(form).encode(to_tensor(channels_last(file, "input")), run);
  comparison.expect_complete();
  expect_latents_near(file, "output", latents);
}

INSTANTIATE_TEST_SUITE_P(Forms, WanVaeParity,
                         testing::Combine(testing::Values("2.1", "2.2"), testing::Values(1, 5, 9)),
                         [](const auto& instance) {
                           const std::string& form = std::get<0>(instance.param);
                           return "v" + form.substr(0, 1) + form.substr(2) + "_f" +
                                  std::to_string(std::get<1>(instance.param));
                         });

TEST(WanVae, GivesTheSameBitsForAnyThreadCount) {
  const int threads_before = num_threads();
  const test::GoldenFile file("vae/2.2_decode_f5.safetensors");
  const Tensor latents = latents_of(file, "input");
  kernels::Context context;
  set_num_threads(1);
  const Tensor video = decode(shared_vae("2.2"), latents, {.context = &context});
  const Tensor encoded = shared_vae("2.2").encode(video, {.context = &context});
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    const Tensor again = decode(shared_vae("2.2"), latents, {.context = &context});
    EXPECT_TRUE(std::ranges::equal(again.values(), video.values())) << threads << " threads";
    const Tensor encoded_again = shared_vae("2.2").encode(video, {.context = &context});
    EXPECT_TRUE(std::ranges::equal(encoded_again.values(), encoded.values()))
        << threads << " threads";
  }
  set_num_threads(threads_before);
}

TEST(WanVae, HandsOutTheFramesOfEachLatentBeforeItDecodesTheNext) {
  const test::GoldenFile file("vae/2.2_decode_f9.safetensors");
  const Tensor latents = latents_of(file, "input");
  kernels::Context context;
  std::vector<std::string> events;
  const WanVaeRun run{.context = &context, .progress = [&](int64_t done, int64_t) {
                        events.push_back("done " + std::to_string(done));
                      }};
  shared_vae("2.2").decode(latents, run, [&](const media::FramePart& part) {
    EXPECT_EQ(part.video, (Shape{9, part.values.dim(1), part.values.dim(2), 3}));
    EXPECT_EQ(part.video, decoded_shape(shared_vae("2.2").config(), latents.shape()));
    events.push_back(std::to_string(part.first_frame) + "+" + std::to_string(part.values.dim(0)));
  });
  EXPECT_EQ(events, (std::vector<std::string>{"0+1", "done 1", "1+4", "done 5", "5+4", "done 9"}));
}

TEST(WanVae, ReportsProgressAndStopsBetweenChunks) {
  const test::GoldenFile file("vae/2.1_decode_f9.safetensors");
  const Tensor latents = latents_of(file, "input");
  kernels::Context context;
  std::vector<std::pair<int64_t, int64_t>> seen;
  const auto record = [&](int64_t done, int64_t total) { seen.emplace_back(done, total); };
  const Tensor video =
      decode(shared_vae("2.1"), latents, {.context = &context, .progress = record});
  // The frames of three latents.
  const std::vector<std::pair<int64_t, int64_t>> expected{{1, 9}, {5, 9}, {9, 9}};
  EXPECT_EQ(seen, expected);

  CancellationToken token;
  int64_t steps = 0;
  const auto cancel_at_one = [&](int64_t done, int64_t) {
    steps = done;
    if (done == 1) token.cancel();
  };
  const WanVaeRun cancelled{.context = &context, .cancellation = &token, .progress = cancel_at_one};
  EXPECT_EQ(test::expect_error([&] { decode(shared_vae("2.1"), latents, cancelled); }).code(),
            Code::kCancelled);
  EXPECT_EQ(steps, 1);
  EXPECT_EQ(test::expect_error([&] { shared_vae("2.1").encode(video, cancelled); }).code(),
            Code::kCancelled);
}

TEST(WanVae, RefusesVideosThatDoNotFit) {
  kernels::Context context;
  const WanVaeRun run{.context = &context};
  for (const Shape& shape :
       {Shape{4, 16, 16, 3}, Shape{1, 20, 16, 3}, Shape{1, 16, 4, 3}, Shape{0, 16, 16, 3}}) {
    const Tensor video = Tensor::zeros(shape);
    const Error error = test::expect_error([&] { shared_vae("2.1").encode(video, run); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find(shape.to_string()), std::string::npos) << error.what();
  }
  const Tensor too_few_channels = Tensor::zeros({15, 1, 2, 2});
  EXPECT_EQ(test::expect_error([&] { decode(shared_vae("2.1"), too_few_channels, run); }).code(),
            Code::kInternal);
}

TEST(WanVae, NormalizesLatentsByChannel) {
  kernels::Context context;
  const WanVaeConfig config = load_vae_config("2.1");
  Tensor latents = Tensor::zeros({16, 1, 1, 2});
  denormalize_latents(config, latents, latents, context);
  EXPECT_EQ(latents.f32()[0], -0.7571f);
  EXPECT_EQ(latents.f32()[31], -0.2921f);
  latents.f32()[2] += 1.4541f;
  normalize_latents(config, latents, latents, context);
  EXPECT_EQ(latents.f32()[0], 0);
  EXPECT_NEAR(latents.f32()[2], 1, 1e-6);
}

}  // namespace
}  // namespace mxvideo::models
