#include "checkpoint/checkpoint.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>

#include "base/file/atomic_file.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_writer.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;
using mxvideo::test::TemporaryDirectory;
using test::expect_error_with;

Tensor numbers(const Shape& shape, float first) {
  Tensor tensor = Tensor::zeros(shape);
  for (int64_t i = 0; i < tensor.count(); ++i) tensor.f32()[i] = first + static_cast<float>(i);
  return tensor;
}

// A component directory with two shards: "a", "b" in the first and "c" in the second.
class ShardedCheckpoint : public testing::Test {
 protected:
  ShardedCheckpoint() {
    write_safetensors(dir_ / kFirst, std::array{NamedTensor{"a", a_}, NamedTensor{"b", b_}},
                      {{"format", "pt"}});
    write_safetensors(dir_ / kSecond, std::array{NamedTensor{"c", c_}});
  }

  void write_index(const std::string& text) {
    write_file_atomically(dir_ / "model.safetensors.index.json", text);
  }
  void write_good_index(const std::string& metadata = R"({"total_size": 44})") {
    write_index(R"({"metadata": )" + metadata + R"(, "weight_map": {"a": ")" + kFirst +
                R"(", "b": ")" + kFirst + R"(", "c": ")" + kSecond + R"("}})");
  }
  void expect_refused(Code code, const std::string& fragment) {
    expect_error_with(code, fragment, [&] { Checkpoint::open_directory(dir_); });
  }

  static constexpr const char* kFirst = "model-00001-of-00002.safetensors";
  static constexpr const char* kSecond = "model-00002-of-00002.safetensors";
  TemporaryDirectory temporary_;
  fs::path dir_ = temporary_.path();
  Tensor a_ = numbers({2, 3}, 1);
  Tensor b_ = numbers({4}, 10);
  Tensor c_ = numbers({1}, 20);
};

TEST_F(ShardedCheckpoint, ReadsEveryTensorFromItsShard) {
  write_good_index();
  const Checkpoint checkpoint = Checkpoint::open_directory(dir_);
  ASSERT_EQ(checkpoint.tensors().size(), 3u);
  const Tensor b = to_f32(checkpoint.tensors().at("b").view);
  EXPECT_EQ(b.f32()[3], 13.0f);
  EXPECT_EQ(to_f32(checkpoint.tensors().at("c").view).f32()[0], 20.0f);
  EXPECT_EQ(checkpoint.file_index(checkpoint.tensors().at("c")), 1u);
  EXPECT_EQ(checkpoint.tensor_bytes(), 44);
  EXPECT_EQ(checkpoint.metadata().at("format"), "pt");
  EXPECT_NE(checkpoint.description().find("(2 shards)"), std::string::npos);
}

TEST_F(ShardedCheckpoint, ReportsMissingAndExtraTensorsTogether) {
  write_index(R"({"weight_map": {"a": ")" + std::string(kFirst) + R"(", "b": ")" + kSecond +
              R"(", "c": ")" + kSecond + R"(", "z": ")" + kSecond + R"("}})");
  expect_refused(Code::kCorruptFile, "2 tensors are not in the shard that weight_map names: b (" +
                                         std::string(kSecond) + "), z (" + kSecond +
                                         "); 1 tensors of shards are not in weight_map: b (" +
                                         kFirst + ")");
}

TEST_F(ShardedCheckpoint, RefusesATensorInTwoShards) {
  write_safetensors(dir_ / kSecond, std::array{NamedTensor{"c", c_}, NamedTensor{"a", a_}});
  write_good_index();
  expect_refused(Code::kCorruptFile, "tensor 'a': also in");
}

TEST_F(ShardedCheckpoint, ChecksTotalSize) {
  write_good_index(R"({"total_size": 45})");
  expect_refused(Code::kCorruptFile, "total_size: expected 45 bytes");
}

TEST_F(ShardedCheckpoint, NamesAbsentShards) {
  write_good_index();
  fs::remove(dir_ / kSecond);
  expect_refused(Code::kNotFound, "1 of 2 shards are missing: " + std::string(kSecond));
}

TEST_F(ShardedCheckpoint, RefusesAShardThatLeadsOutside) {
  write_good_index();
  const TemporaryDirectory elsewhere;
  fs::rename(dir_ / kSecond, elsewhere.path() / "blob");
  fs::create_symlink(elsewhere.path() / "blob", dir_ / kSecond);
  expect_refused(Code::kUnsupported, "which is outside of");
}

TEST_F(ShardedCheckpoint, FollowsLinksToTheBlobsOfItsRepository) {
  write_good_index();
  const fs::path repository = dir_ / "models--org--name";
  const fs::path snapshot = repository / "snapshots" / std::string(40, 'a') / "transformer";
  fs::create_directories(snapshot);
  fs::create_directories(repository / "blobs");
  int blob = 0;
  for (const char* name : {kFirst, kSecond, "model.safetensors.index.json"}) {
    const std::string target = "blob" + std::to_string(blob++);
    fs::rename(dir_ / name, repository / "blobs" / target);
    fs::create_symlink(fs::path("../../../blobs") / target, snapshot / name);
  }
  EXPECT_EQ(Checkpoint::open_directory(snapshot).tensors().size(), 3u);
}

TEST_F(ShardedCheckpoint, RefusesIndexAndSingleFileTogether) {
  write_good_index();
  write_safetensors(dir_ / "model.safetensors", std::array{NamedTensor{"a", a_}});
  expect_refused(Code::kCorruptFile, "holds both");
}

TEST(Checkpoint, NamesWhatWasSearchedAndWhatIsThere) {
  const TemporaryDirectory directory;
  write_file_atomically(directory.path() / "pytorch_model.bin", "x");
  expect_error_with(Code::kNotFound,
                    "expected one of diffusion_pytorch_model.safetensors, "
                    "diffusion_pytorch_model.safetensors.index.json, model.safetensors, "
                    "model.safetensors.index.json, quant_model_weight*.safetensors, "
                    "got only pytorch_model.bin",
                    [&] { Checkpoint::open_directory(directory.path()); });
  expect_error_with(Code::kNotFound, "none: no such directory",
                    [&] { Checkpoint::open_directory(directory.path() / "none"); });
}

TEST_F(ShardedCheckpoint, RefusesShardsThatTheIndexDoesNotList) {
  write_good_index();
  write_safetensors(dir_ / "model-00003-of-00003.safetensors", std::array{NamedTensor{"c", a_}});
  expect_refused(Code::kCorruptFile,
                 "1 shards are in no index: model-00003-of-00003.safetensors; remove them or the "
                 "stale index");
}

TEST(Checkpoint, RefusesShardsBesideASingleFile) {
  const TemporaryDirectory directory;
  const Tensor tensor = numbers({1}, 1);
  write_safetensors(directory.path() / "model.safetensors", std::array{NamedTensor{"a", tensor}});
  write_safetensors(directory.path() / "model.fp16.safetensors",
                    std::array{NamedTensor{"a", tensor}});
  EXPECT_EQ(Checkpoint::open_directory(directory.path()).tensors().size(), 1u);
  write_safetensors(directory.path() / "model-00001-of-00002.safetensors",
                    std::array{NamedTensor{"b", tensor}});
  expect_error_with(Code::kCorruptFile, "remove them or the stale model.safetensors",
                    [&] { Checkpoint::open_directory(directory.path()); });
}

TEST(Checkpoint, OpensExportsOfMsmodelslimByTheirPrefix) {
  const TemporaryDirectory directory;
  const Tensor tensor = numbers({1}, 1);
  write_safetensors(directory.path() / "quant_model_weight_w8a8_mxfp8.safetensors",
                    std::array{NamedTensor{"a", tensor}});
  EXPECT_EQ(Checkpoint::open_directory(directory.path()).tensors().size(), 1u);
  write_safetensors(directory.path() / "quant_model_weights.safetensors",
                    std::array{NamedTensor{"b", tensor}});
  expect_error_with(
      Code::kCorruptFile,
      "got quant_model_weight_w8a8_mxfp8.safetensors, quant_model_weights.safetensors",
      [&] { Checkpoint::open_directory(directory.path()); });
  write_file_atomically(directory.path() / "quant_model_weights.safetensors.index.json",
                        R"({"weight_map": {"b": "quant_model_weights-1.safetensors"}})");
  write_safetensors(directory.path() / "quant_model_weights-1.safetensors",
                    std::array{NamedTensor{"b", tensor}});
  expect_error_with(Code::kCorruptFile, "holds both quant_model_weights.safetensors and",
                    [&] { Checkpoint::open_directory(directory.path()); });
}

TEST(Checkpoint, RenamesAndRefusesCollisions) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "x.safetensors";
  const Tensor tensor = numbers({1}, 1);
  write_safetensors(path, std::array{NamedTensor{"a", tensor}, NamedTensor{"b", tensor}});
  Checkpoint checkpoint = Checkpoint::open_file(path);
  expect_error_with(Code::kCorruptFile, "another tensor also stands for 'b'", [&] {
    checkpoint.rename({{"a", "b"}});
  });
  checkpoint.rename({{"a", "b"}, {"b", "c"}});
  EXPECT_EQ(checkpoint.tensors().count("c"), 1u);
  EXPECT_EQ(checkpoint.tensors().count("a"), 0u);
}

TEST(Checkpoint, NoticesAFileThatChanges) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "x.safetensors";
  write_safetensors(path, std::array{NamedTensor{"a", numbers({1}, 1)}});
  const Checkpoint checkpoint = Checkpoint::open_file(path);
  checkpoint.check_unchanged();
  std::ofstream(path, std::ios::app) << "x";
  expect_error_with(Code::kIo, "changed on disk", [&] { checkpoint.check_unchanged(); });
}

}  // namespace
}  // namespace mxvideo::checkpoint
