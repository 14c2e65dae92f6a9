#include "audit/verify.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <random>

#include "base/sha256.h"
#include "checkpoint/safetensors_writer.h"
#include "convert/output/file_record.h"
#include "formats/mx_block.h"
#include "formats/scale_layout.h"
#include "support/test_support.h"

namespace mxvideo::audit {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSide = 128;  // whole tiles of 128x4 scales: both orders have one shape
constexpr int64_t kBlocks = kSide / 32;

// One layer, as BF16 and as MXFP8, whose rows and blocks differ in magnitude.
class VerifyValuesTest : public testing::Test {
 protected:
  VerifyValuesTest() {
    std::mt19937 engine(7);
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < kSide * kSide; ++i) {
      const int64_t block = i / 32;
      const float value = normal(engine) * static_cast<float>(1 << (block * 7 % 11));
      put_bf16(weight_, i, value);
    }
    for (int64_t i = 0; i < kSide; ++i) put_bf16(bias_, i, normal(engine));
    const Tensor values = to_f32(weight_);
    for (int64_t i = 0; i < kSide * kBlocks; ++i) {
      scales()[i] =
          formats::quantize_mx_block(std::span<const float, 32>(values.f32() + i * 32, 32), {},
                                     std::span<uint8_t, 32>(codes() + i * 32, 32));
    }
  }

  static void put_bf16(Tensor& tensor, int64_t index, float value) {
    const auto bits = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
    std::memcpy(tensor.data() + index * 2, &bits, 2);
  }
  uint8_t* codes() { return reinterpret_cast<uint8_t*>(codes_.data()); }
  uint8_t* scales() { return reinterpret_cast<uint8_t*>(scales_.data()); }

  checkpoint::TransformerCheckpoint original() {
    const fs::path directory = folder("original");
    checkpoint::write_safetensors(directory / "model.safetensors",
                                  std::array{checkpoint::NamedTensor{kLayer + ".weight", weight_},
                                             checkpoint::NamedTensor{kLayer + ".bias", bias_}});
    return checkpoint::open_transformer_checkpoint(directory);
  }

  checkpoint::TransformerCheckpoint quantized() {
    const fs::path directory = folder("quantized");
    const Tensor bias = to_f32(bias_);
    checkpoint::write_safetensors(
        directory / "model.safetensors",
        std::array{checkpoint::NamedTensor{kLayer + ".weight", codes_},
                   checkpoint::NamedTensor{kLayer + ".weight_scale", scales_},
                   checkpoint::NamedTensor{kLayer + ".bias", bias}});
    std::ofstream(directory / "quant_model_description.json")
        << R"({"blocks.0.attn1.to_q.weight": "W8A8_MXFP8",)"
        << R"( "blocks.0.attn1.to_q.weight_scale": "W8A8_MXFP8",)"
        << R"( "blocks.0.attn1.to_q.bias": "FLOAT"})";
    return checkpoint::open_transformer_checkpoint(directory);
  }

  static const ValueDifference& of(const Comparison& comparison, const std::string& name) {
    const auto found = std::ranges::find(comparison.tensors, name, &ValueDifference::name);
    EXPECT_NE(found, comparison.tensors.end()) << name;
    return *found;
  }

  const std::string kLayer = "blocks.0.attn1.to_q";
  Tensor weight_{DType::kBF16, {kSide, kSide}}, bias_{DType::kBF16, {kSide}};
  Tensor codes_{DType::kF8E4M3, {kSide, kSide}}, scales_{DType::kU8, {kSide, kBlocks}};

 private:
  fs::path folder(const std::string& name) {
    fs::create_directories(temporary_.path() / name);
    return temporary_.path() / name;
  }
  test::TemporaryDirectory temporary_;
};

TEST(VerifyLines, OneCauseIsOneLine) {
  const std::vector<TensorProblem> problems = {
      {"a", "NaN codes", "1 NaN codes, the first in row 0"},
      {"b", "not in the original", "not in the original"},
      {"c", "NaN codes", "2 NaN codes, the first in row 3"},
      {"d", "NaN codes", "x"},
      {"e", "NaN codes", "x"},
      {"f", "NaN codes", "x"}};
  EXPECT_EQ(lines_of(problems),
            (std::vector<std::string>{"NaN codes in 5 tensors: a (1 NaN codes, the first in row "
                                      "0), c, d, e, … and 1 more",
                                      "b: not in the original"}));
  EXPECT_TRUE(lines_of({}).empty());
}

TEST_F(VerifyValuesTest, AGoodLayerPassesAndABiasInF32IsEqual) {
  const Comparison result = compare_values(quantized(), original(), 20);
  EXPECT_TRUE(result.problems.empty());
  const ValueDifference& weight = of(result, kLayer + ".weight");
  EXPECT_EQ(weight.problem, "");
  EXPECT_GT(weight.sqnr_db, 26);
  EXPECT_LT(weight.sqnr_db, 40);
  EXPECT_GT(weight.cosine, 0.998);
  EXPECT_LT(weight.max_relative_error, 0.07);
  EXPECT_EQ(of(result, kLayer + ".bias").different, 0);
  const ValueScan scan = scan_values(quantized());
  EXPECT_TRUE(scan.problems.empty());
  EXPECT_EQ(scan.blocks, kSide * kBlocks);
  EXPECT_EQ(scan.zero_scale_blocks, 0);
}

TEST_F(VerifyValuesTest, ScalesInTheOtherOrderFailWithAHint) {
  Tensor swizzled(DType::kU8, {kSide, kBlocks});
  formats::swizzle_scales({.rows = kSide, .columns = kBlocks}, scales(),
                          reinterpret_cast<uint8_t*>(swizzled.data()));
  scales_ = std::move(swizzled);
  const Comparison result = compare_values(quantized(), original(), 20);
  const std::string& problem = of(result, kLayer + ".weight").problem;
  EXPECT_NE(problem.find("expected at least 20.0 dB"), std::string::npos) << problem;
  EXPECT_NE(problem.find("it would pass with swizzled scales"), std::string::npos) << problem;
}

TEST_F(VerifyValuesTest, ShiftedScalesFailWithoutAHint) {
  for (int64_t i = 0; i < kSide * kBlocks; ++i) ++scales()[i];
  const std::string problem =
      of(compare_values(quantized(), original(), 20), kLayer + ".weight").problem;
  EXPECT_NE(problem.find("SQNR"), std::string::npos) << problem;
  EXPECT_EQ(problem.find("would pass"), std::string::npos) << problem;
}

TEST_F(VerifyValuesTest, AChangedFloatIsReported) {
  const auto stored = original();
  put_bf16(bias_, 3, 1000.0f);
  const auto other = quantized();
  const ValueDifference difference = of(compare_values(other, stored, 20), kLayer + ".bias");
  EXPECT_EQ(difference.different, 1);
  EXPECT_NE(difference.problem.find("1 of 128 values differ"), std::string::npos)
      << difference.problem;
}

TEST_F(VerifyValuesTest, NanCodesAreNamedWithTheirRow) {
  codes()[17 * kSide + 5] = 0x7f;
  codes()[90 * kSide] = 0xff;
  scales()[8] = 0;
  const ValueScan scan = scan_values(quantized());
  ASSERT_EQ(scan.problems.size(), 1u);
  EXPECT_EQ(lines_of(scan.problems),
            std::vector{kLayer + ".weight: 2 NaN codes, the first in row 17"});
  EXPECT_EQ(scan.zero_scale_blocks, 1);
}

class VerifyFilesTest : public testing::Test {
 protected:
  fs::path write(const fs::path& relative, const std::string& text) const {
    fs::path path = temporary_.path() / relative;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }
  fs::path root() const { return temporary_.path(); }

 private:
  test::TemporaryDirectory temporary_;
};

TEST_F(VerifyFilesTest, GitBlobId) {
  // echo hello | git hash-object --stdin
  EXPECT_EQ(git_blob_id(write("x", "hello\n")), "ce013625030ba8dba906f756967f9e9ca394464a");
  EXPECT_EQ(git_blob_id(write("y", "")), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

TEST_F(VerifyFilesTest, BlobNamesAreHashes) {
  const fs::path repository = "models--org--name";
  const std::string git = "ce013625030ba8dba906f756967f9e9ca394464a";
  const std::string sha = sha256_file(write("weights", "tensor bytes"));
  write(repository / "blobs" / git, "hello\n");
  write(repository / "blobs" / sha, "tensor bytes");
  const fs::path snapshot = root() / repository / "snapshots" / "abc";
  fs::create_directories(snapshot / "transformer");
  fs::create_symlink("../../blobs/" + git, snapshot / "config.json");
  fs::create_symlink("../../../blobs/" + sha, snapshot / "transformer" / "w.safetensors");
  const FileCheck good = check_files(snapshot);
  ASSERT_EQ(good.files.size(), 2u);
  for (const HashedFile& file : good.files) EXPECT_EQ(file.problem, "") << file.path;
  EXPECT_TRUE(good.problems.empty());

  write(repository / "blobs" / sha, "tensor bytez");
  write(repository / "blobs" / git, "hallo\n");
  write(repository / "blobs" / "123.incomplete", "");
  const FileCheck bad = check_files(snapshot);
  for (const HashedFile& file : bad.files) {
    EXPECT_NE(file.problem.find("by blob name, got"), std::string::npos) << file.path;
  }
  ASSERT_EQ(bad.problems.size(), 1u);
  EXPECT_EQ(bad.problems[0], "unfinished download: blobs/123.incomplete");
}

TEST_F(VerifyFilesTest, CompleteFileIsChecked) {
  const fs::path file = write("out/a.bin", "1234");
  convert::write_complete_file(
      root() / "out",
      {{"a.bin", {.bytes = 4, .sha256 = sha256_file(file), .linked_to = {}, .note = {}}}}, nullptr);
  EXPECT_EQ(check_files(root() / "out").files.at(0).problem, "");
  write("out/a.bin", "1235");
  EXPECT_NE(check_files(root() / "out").files.at(0).problem.find("expected hash"),
            std::string::npos);
  write("out/a.bin", "12345");
  EXPECT_EQ(check_files(root() / "out").files.at(0).problem,
            "expected 4 bytes by complete.json, got 5");
}

}  // namespace
}  // namespace mxvideo::audit
