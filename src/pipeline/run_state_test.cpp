#include "pipeline/run_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>

#include "base/file/atomic_file.h"
#include "pipeline/golden_run.h"
#include "support/test_support.h"
#include "support/video_collector.h"

namespace mxvideo::pipeline {
namespace {

using std::chrono::duration;

// Stops a run after so many of its steps, with its state in the file.
void interrupt(const Engine& engine, const GenerateRequest& request, int64_t steps,
               const std::filesystem::path& path) {
  CancellationToken token;
  pipeline::Run run(engine, request, {.cancellation = &token});
  RunStateFile file(path, duration<double>(0));
  run.hooks.on_step = [&](int64_t index, const Tensor&) {
    file.after_step(run);
    if (index + 1 == steps) token.cancel();
  };
  EXPECT_EQ(test::expect_error([&] { generate(run); }).code(), Code::kCancelled);
  EXPECT_EQ(file.saved_steps(), steps);
}

class RunStateGolden : public testing::TestWithParam<const char*> {};

TEST_P(RunStateGolden, ARunThatGoesOnAfterAnyStepHasTheBitsOfOneThatWasNeverStopped) {
  const test::TemporaryDirectory temporary;
  const GoldenRun golden(GetParam());
  const Engine engine = golden.engine();
  const GenerateRequest request = golden.request();
  const Generated whole = generate_all(engine, request);
  const auto steps = golden.info["num_inference_steps"].get<int64_t>();
  for (const int64_t stop : std::set<int64_t>{1, 2, steps / 2, steps - 1, steps}) {
    const auto path = temporary.path() / std::to_string(stop);
    interrupt(engine, request, stop, path);
    test::VideoCollector frames;
    pipeline::Run run(engine, request, {.on_frames = std::ref(frames)});
    RunStateFile file(path, duration<double>(1e6));
    ASSERT_TRUE(file.restore(run));
    EXPECT_EQ(run.solver.step_index(), stop);
    generate(run);
    EXPECT_EQ(std::ssize(run.report.steps), steps - stop);
    EXPECT_TRUE(std::ranges::equal(run.latents.values(), whole.latents.values())) << stop;
    EXPECT_TRUE(std::ranges::equal(frames.take().values(), whole.video.values())) << stop;
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, RunStateGolden,
                         testing::Values("t2v-a14b_t2v.safetensors", "i2v-a14b_i2v.safetensors",
                                         "ti2v-5b_i2v.safetensors"));

class RunState : public testing::Test {
 protected:
  RunState() { interrupt(engine_, request_, 2, path_); }

  Error refusal(const Engine& engine, const GenerateRequest& request) const {
    pipeline::Run run(engine, request);
    RunStateFile file(path_, duration<double>(0));
    return test::expect_error([&] { file.restore(run); });
  }
  void expect_refusal(const Engine& engine, const GenerateRequest& request,
                      const std::string& part) const {
    const Error error = refusal(engine, request);
    EXPECT_EQ(error.code(), Code::kMismatch) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }

  test::TemporaryDirectory temporary_;
  GoldenRun golden_{"ti2v-5b_t2v.safetensors"};
  Engine engine_ = golden_.engine();
  GenerateRequest request_ = golden_.request();
  std::filesystem::path path_ = temporary_.path() / "v.mp4.state.safetensors";
};

TEST_F(RunState, OfAnotherRequestIsRefusedWithWhatDiffers) {
  GenerateRequest other = golden_.request();
  other.seed = *other.seed + 1;
  expect_refusal(engine_, other,
                 "request/seed is " + std::to_string(*request_.seed) + " there and " +
                     std::to_string(*other.seed) + " here");
  other = golden_.request();
  other.prompt += " and more";
  expect_refusal(engine_, other, "request/prompt is ");
  other = golden_.request();
  other.num_inference_steps = *other.num_inference_steps + 1;
  expect_refusal(engine_, other, "request/num_inference_steps is ");
  other = golden_.request();
  other.initial_noise = Tensor::zeros({48, 3, 4, 6});
  expect_refusal(engine_, other, "request/noise is absent there");
  expect_refusal(golden_.engine("mxfp8"), request_, "request/quantization/scheme is ");
}

TEST_F(RunState, OfAnotherModelIsRefusedAndOfACopyTaken) {
  const std::filesystem::path model = temporary_.path() / "model";
  std::filesystem::copy(model_directory("ti2v-5b"), model,
                        std::filesystem::copy_options::recursive);
  PipelineOptions options;
  options.model_directory = model;
  {
    const Engine copy(options);
    pipeline::Run run(copy, request_);
    EXPECT_TRUE(RunStateFile(path_, duration<double>(0)).restore(run));
  }
  // One byte in the middle of the last tensor.
  const std::filesystem::path weights = model / "vae" / "diffusion_pytorch_model.safetensors";
  std::string bytes = read_file(weights, 1 << 26);
  const auto files = checkpoint::Checkpoint::open_file(weights);
  const TensorView& view = files.tensors().rbegin()->second.view;
  const std::string value(reinterpret_cast<const char*>(view.data), 64);
  const size_t at = bytes.find(value);
  ASSERT_NE(at, std::string::npos);
  bytes[at + static_cast<size_t>(view.bytes() / 2)] ^= 1;
  write_file_atomically(weights, bytes);
  const Engine changed(options);
  expect_refusal(changed, request_, "model/vae is ");
}

TEST_F(RunState, ThatIsDamagedIsRefused) {
  const std::string whole = read_file(path_, 1 << 24);
  const auto expect_corrupt = [&](const std::string& bytes) {
    write_file_atomically(path_, bytes);
    const Error error = refusal(engine_, request_);
    EXPECT_EQ(error.code(), Code::kCorruptFile) << error.what();
  };
  for (const size_t size :
       {size_t{0}, size_t{7}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    expect_corrupt(whole.substr(0, size));
  }
  std::string flipped = whole;
  flipped[whole.size() - 5] ^= 4;
  expect_corrupt(flipped);
  expect_corrupt("not a state");
  write_file_atomically(path_, whole);
  pipeline::Run run(engine_, request_);
  EXPECT_TRUE(RunStateFile(path_, duration<double>(0)).restore(run));
}

TEST_F(RunState, IsWrittenWhenItIsDueAndRemovedAtTheEnd) {
  RunStateFile file(path_, duration<double>(1e6));
  file.remove();
  pipeline::Run run(engine_, request_);
  EXPECT_FALSE(file.restore(run));
  run.hooks.on_step = [&](int64_t, const Tensor&) { file.after_step(run); };
  generate(run);
  EXPECT_EQ(file.saved_steps(), 0);
  EXPECT_FALSE(std::filesystem::exists(path_));
  file.save(run);
  EXPECT_EQ(file.saved_steps(), run.solver.steps());
  EXPECT_EQ(RunStateFile::seed_of(path_), request_.seed);
  file.remove();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace mxvideo::pipeline
