#include "models/wan_vae/wan_vae_test_support.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "base/text/json.h"
#include "checkpoint/checkpoint.h"
#include "support/test_support.h"
#include "support/video_collector.h"

namespace mxvideo::models {

std::string vae_directory(const std::string& form) {
  return test::golden_path(form == "2.1" ? "models/t2v-a14b/vae" : "models/ti2v-5b/vae");
}

WanVaeConfig load_vae_config(const std::string& form) {
  const std::string path = vae_directory(form) + "/config.json";
  return WanVaeConfig::from_json(read_json_file(path), path);
}

namespace {

void load(WanVae& vae, const std::string& form) {
  checkpoint::ParameterLoader loader;
  vae.declare_parameters(loader);
  loader.load(checkpoint::Checkpoint::open_directory(vae_directory(form)));
}

}  // namespace

const WanVae& shared_vae(const std::string& form) {
  static std::map<std::string, std::unique_ptr<WanVae>> loaded;
  std::unique_ptr<WanVae>& vae = loaded[form];
  if (vae == nullptr) {
    vae = std::make_unique<WanVae>(load_vae_config(form));
    load(*vae, form);
  }
  return *vae;
}

Tensor decode(const WanVae& vae, const Tensor& latents, const WanVaeRun& run) {
  test::VideoCollector video;
  vae.decode(latents, run, video);
  return video.take();
}

Golden channels_last(const test::GoldenFile& file, const std::string& name) {
  const std::vector<int64_t> shape = file.shape(name);
  const std::vector<float> values = file.f32(name);
  // Per-frame layers were recorded as [t, c, h, w].
  const bool per_frame = shape.size() == 4;
  const int64_t channels = shape[1];
  const int64_t frames = per_frame ? shape[0] : shape[2];
  const int64_t height = shape[shape.size() - 2];
  const int64_t width = shape[shape.size() - 1];
  Golden golden{.shape = {frames, height, width, channels},
                .values = std::vector<float>(values.size())};
  for (int64_t t = 0; t < frames; ++t) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t plane = per_frame ? t * channels + c : c * frames + t;
      for (int64_t i = 0; i < height * width; ++i) {
        golden.values[static_cast<size_t>((t * height * width + i) * channels + c)] =
            values[static_cast<size_t>(plane * height * width + i)];
      }
    }
  }
  return golden;
}

Tensor to_tensor(const Golden& golden) {
  return Tensor::from_values(Shape(golden.shape), golden.values);
}

Tensor latents_of(const test::GoldenFile& file, const std::string& name) {
  const std::vector<int64_t> shape = file.shape(name);
  return Tensor::from_values(Shape(std::span(shape).subspan(1)), file.f32(name));
}

void expect_near(const std::string& name, const Tensor& actual, const Golden& expected) {
  ASSERT_EQ(actual.shape(), Shape(expected.shape)) << name;
  const double error = test::relative_rms(actual.values(), expected.values);
  EXPECT_LE(error, kParityBound) << name;
  testing::Test::RecordProperty(name, std::to_string(error));
}

void expect_latents_near(const test::GoldenFile& file, const std::string& name,
                         const Tensor& actual) {
  const Tensor expected = latents_of(file, name);
  ASSERT_EQ(actual.shape(), expected.shape()) << name;
  const double error = test::relative_rms(actual.values(), expected.values());
  EXPECT_LE(error, kParityBound) << name;
  testing::Test::RecordProperty(name, std::to_string(error));
}

}  // namespace mxvideo::models
