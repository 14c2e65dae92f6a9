#include "checkpoint/parameter_loader.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>

#include "base/error.h"
#include "checkpoint/safetensors_writer.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

using test::expect_error;
using test::TemporaryDirectory;

class ParameterLoaderTest : public testing::Test {
 protected:
  Checkpoint open(std::span<const NamedTensor> tensors) {
    const auto path = directory_.path() / "x.safetensors";
    write_safetensors(path, tensors);
    return Checkpoint::open_file(path);
  }

  TemporaryDirectory directory_;
  Tensor one_ = Tensor::from_values({1}, std::array{1.0f});
  Tensor pair_ = Tensor::from_values({2}, std::array{2.0f, 3.0f});
  Tensor bytes_{DType::kU8, {2}};
  ParameterLoader loader_;
};

TEST_F(ParameterLoaderTest, StreamsGroupsInFileOrder) {
  const Checkpoint checkpoint =
      open(std::array{NamedTensor{"a", one_}, NamedTensor{"b", pair_}, NamedTensor{"c", one_},
                      NamedTensor{"skipped", one_}, NamedTensor{"tied", one_}});
  std::string order;
  loader_.add_group({{"c", {1}, {}}, {"b", {2}, {}}},
                    [&](std::span<const StoredTensor> tensors, kernels::Context&) {
                      order += "cb";
                      ASSERT_EQ(tensors.size(), 2u);
                      EXPECT_EQ(tensors[0].view.shape, Shape{1});
                      EXPECT_EQ(tensors[1].view.shape, Shape{2});
                    });
  Tensor destination;
  loader_.add_group({{"a", {1}, {}}},
                    [&](std::span<const StoredTensor> tensors, kernels::Context&) {
                      order += "a";
                      destination = to_f32(tensors[0].view);
                    });
  loader_.add_unused({{"skipped", {1}, {}}});
  loader_.ignore("tied");
  loader_.ignore("never there");
  const LoadReport report = loader_.load(checkpoint);
  EXPECT_EQ(order, "acb");
  EXPECT_EQ(destination.f32()[0], 1.0f);
  EXPECT_EQ(report.tensors, 3);
  EXPECT_EQ(report.checkpoint_bytes, 16);
}

TEST_F(ParameterLoaderTest, FillsF32Tensors) {
  const Checkpoint checkpoint = open(std::array{NamedTensor{"b", pair_}});
  Tensor destination;
  loader_.add_f32("b", {2}, &destination);
  loader_.load(checkpoint);
  EXPECT_EQ(destination.values()[1], 3.0f);
}

TEST_F(ParameterLoaderTest, ReportsEveryKindOfProblemBeforeReading) {
  const Checkpoint checkpoint = open(std::array{
      NamedTensor{"extra", one_}, NamedTensor{"dtype", bytes_}, NamedTensor{"shape", pair_}});
  const auto never = [](std::span<const StoredTensor>, kernels::Context&) {
    FAIL() << "data was read";
  };
  loader_.add_group({{"dtype", {2}, {}}, {"shape", {1, 2}, {}}}, never);
  loader_.add_group({{"absent", {1}, {DType::kU8}}}, never);
  loader_.add_unused({{"absent too", {1}, {}}});
  const Error error = expect_error([&] { loader_.load(checkpoint); });
  EXPECT_EQ(error.code(), Code::kCorruptFile);
  const std::string message = error.what();
  for (const char* fragment :
       {"2 missing: absent, absent too", "1 unexpected: extra",
        "1 of wrong dtype: dtype (expected F32, F16 or BF16, got U8)",
        "1 of wrong shape: shape (expected [1, 2], got [2])", "x.safetensors"}) {
    EXPECT_NE(message.find(fragment), std::string::npos) << fragment << "\nin " << message;
  }
}

TEST_F(ParameterLoaderTest, ChecksUnusedTensorsToo) {
  const Checkpoint checkpoint = open(std::array{NamedTensor{"a", one_}});
  loader_.add_unused({{"a", {2}, {}}});
  EXPECT_NE(std::string(expect_error([&] { loader_.load(checkpoint); }).what())
                .find("1 of wrong shape: a"),
            std::string::npos);
}

TEST_F(ParameterLoaderTest, ListsAFewNames) {
  const Checkpoint checkpoint = open(std::array{NamedTensor{"a", one_}});
  loader_.ignore("a");
  for (int i = 100; i < 125; ++i) loader_.add_unused({{"n" + std::to_string(i), {1}, {}}});
  const std::string message = expect_error([&] { loader_.load(checkpoint); }).what();
  EXPECT_NE(message.find("25 missing: n100"), std::string::npos);
  EXPECT_NE(message.find("n111, … and 13 more"), std::string::npos) << message;
  EXPECT_EQ(message.find("n120"), std::string::npos);
}

TEST_F(ParameterLoaderTest, SaysOnceWhatIsWrongWithManyTensors) {
  const Checkpoint checkpoint =
      open(std::array{NamedTensor{"b.0.w", bytes_}, NamedTensor{"b.1.w", bytes_},
                      NamedTensor{"b.2.w", pair_}, NamedTensor{"c", bytes_}});
  for (const char* name : {"b.0.w", "b.1.w", "c"}) loader_.add_unused({{name, {2}, {}}});
  loader_.add_unused({{"b.2.w", {2}, {DType::kU8}}});
  EXPECT_NE(std::string(expect_error([&] { loader_.load(checkpoint); }).what())
                .find("4 of wrong dtype: b.{0,1}.w, c (expected F32, F16 or BF16, got U8), b.2.w "
                      "(expected U8, got F32)"),
            std::string::npos);
}

TEST_F(ParameterLoaderTest, RefusesTwoDeclarationsOfOneName) {
  loader_.add_unused({{"a", {1}, {}}});
  EXPECT_EQ(expect_error([&] { loader_.add_unused({{"a", {1}, {}}}); }).code(), Code::kInternal);
}

TEST_F(ParameterLoaderTest, NoticesAFileThatChangesWhileItIsRead) {
  const Checkpoint checkpoint = open(std::array{NamedTensor{"a", one_}});
  loader_.add_group({{"a", {1}, {}}}, [&](std::span<const StoredTensor>, kernels::Context&) {
    std::ofstream(directory_.path() / "x.safetensors", std::ios::app) << "x";
  });
  EXPECT_EQ(expect_error([&] { loader_.load(checkpoint); }).code(), Code::kIo);
}

}  // namespace
}  // namespace mxvideo::checkpoint
