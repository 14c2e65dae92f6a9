#include "checkpoint/modelslim.h"

#include <gtest/gtest.h>

#include "base/file/atomic_file.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

using mxvideo::test::TemporaryDirectory;
using test::expect_error_with;

TEST(ModelSlim, SeparatesTypesFromWhatDescribesTheFile) {
  const ModelSlimDescription description = parse_modelslim_description(
      R"({"model_quant_type": "W8A8_MXFP8", "version": "1.0.0", "group_size": 32,
          "metadata": {"tool": "x"}, "timestep_policy": {"fa": {"default": "FP8"}},
          "blocks.0.self_attn.q.weight": "W8A8_MXFP8", "head.head.weight": "FLOAT"})",
      "d.json");
  EXPECT_EQ(description.types,
            (std::map<std::string, std::string>{{"blocks.0.self_attn.q.weight", "W8A8_MXFP8"},
                                                {"head.head.weight", "FLOAT"}}));
  EXPECT_EQ(description.other.size(), 5u);
  EXPECT_EQ(description.other["timestep_policy"]["fa"]["default"], "FP8");
  const ModelSlimDescription again =
      parse_modelslim_description(modelslim_description_text(description), "again");
  EXPECT_EQ(again.types, description.types);
  EXPECT_EQ(again.other, description.other);
}

TEST(ModelSlim, RefusesWhatIsNoDescription) {
  const auto refuse = [](const char* text, const char* why) {
    expect_error_with(Code::kCorruptFile, why,
                      [&] { parse_modelslim_description(text, "d.json"); });
  };
  refuse("[]", "d.json: expected an object, got an array");
  refuse("{", "d.json: invalid JSON");
  refuse(R"({"a.weight": "FLOAT", "a.weight": "W8A8"})", "duplicate key 'a.weight'");
  refuse(R"({"": "FLOAT"})", "tensor name of 0 bytes");
  refuse(R"({"a.weight": ""})", "'a.weight': expected a type like W8A8_MXFP8, got ''");
}

TEST(ModelSlim, FindsTheExactNameFirstThenTheOnlyMatch) {
  const TemporaryDirectory directory;
  EXPECT_EQ(find_modelslim_description(directory.path()), std::nullopt);
  const auto write = [&](const char* name) {
    write_file_atomically(directory.path() / name, "{}");
    return directory.path() / name;
  };
  const auto mxfp8 = write("quant_model_description_w8a8_mxfp8.json");
  EXPECT_EQ(find_modelslim_description(directory.path()), mxfp8);
  write("quant_model_description_w8a8.json");
  expect_error_with(Code::kCorruptFile,
                    "expected one quant_model_description*.json, got 2: "
                    "quant_model_description_w8a8.json, quant_model_description_w8a8_mxfp8.json",
                    [&] { find_modelslim_description(directory.path()); });
  const auto exact = write("quant_model_description.json");
  EXPECT_EQ(find_modelslim_description(directory.path()), exact);
}

TEST(ModelSlim, MakesNamesOfEitherStyleCanonical) {
  const std::map<std::string, std::string> expected = {{"blocks.0.attn1.quant_type", "FP8_DYNAMIC"},
                                                       {"blocks.0.attn1.to_q.weight", "W8A8_MXFP8"},
                                                       {"blocks.0.norm2.weight", "FLOAT"},
                                                       {"blocks.0.ffn.net.2.weight", "W8A8_MXFP8"},
                                                       {"patch_embedding.weight", "FLOAT"}};
  const auto canonical = [](std::map<std::string, std::string> types) {
    return canonical_description({.types = std::move(types), .other = {}}, "d.json").types;
  };
  EXPECT_EQ(canonical({{"blocks.0.self_attn.quant_type", "FP8_DYNAMIC"},
                       {"blocks.0.self_attn.q.weight", "W8A8_MXFP8"},
                       {"blocks.0.norm3.weight", "FLOAT"},
                       {"blocks.0.ffn.2.weight", "W8A8_MXFP8"},
                       {"patch_embedding.weight", "FLOAT"}}),
            expected);
  // As SGLang's repack leaves it: tensors renamed, the rest not.
  EXPECT_EQ(canonical({{"blocks.0.self_attn.quant_type", "FP8_DYNAMIC"},
                       {"blocks.0.attn1.to_q.weight", "W8A8_MXFP8"},
                       {"blocks.0.norm2.weight", "FLOAT"},
                       {"blocks.0.ffn.net.2.weight", "W8A8_MXFP8"},
                       {"patch_embedding.weight", "FLOAT"}}),
            expected);
  expect_error_with(Code::kCorruptFile, "another name also stands for", [&] {
    canonical({{"blocks.0.self_attn.q.weight", "FLOAT"}, {"blocks.0.attn1.to_q.weight", "FLOAT"}});
  });
}

}  // namespace
}  // namespace mxvideo::checkpoint
