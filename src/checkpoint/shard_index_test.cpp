#include "checkpoint/shard_index.h"

#include <gtest/gtest.h>

#include <vector>

#include "checkpoint/containment.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;
using mxvideo::test::TemporaryDirectory;
using test::expect_error_with;

TEST(ShardIndex, ReadsWeightMapAndSize) {
  const ShardIndex index = parse_shard_index(
      R"({"metadata":{"total_size":12,"other":"x"},)"
      R"("weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-1.safetensors"}})",
      "index");
  EXPECT_EQ(index.weight_map.at("b"), "m-2.safetensors");
  EXPECT_EQ(index.total_size, 12);
  EXPECT_EQ(index.shards(), (std::set<std::string>{"m-1.safetensors", "m-2.safetensors"}));
  EXPECT_EQ(parse_shard_index(R"({"weight_map":{"a":"m.safetensors"}})", "index").total_size,
            std::nullopt);
}

TEST(ShardIndex, TakesAWholeNumberInAnyFormForTheSize) {
  const auto size = [](const std::string& metadata) {
    return parse_shard_index(
               R"({"metadata":)" + metadata + R"(,"weight_map":{"a":"m.safetensors"}})", "index")
        .total_size;
  };
  EXPECT_EQ(size(R"({"total_size":12.0})"), 12);
  EXPECT_EQ(size(R"({"total_size":2.8577e10})"), 28'577'000'000);
  EXPECT_EQ(size(R"({"total_size":null})"), std::nullopt);
  EXPECT_EQ(size("{}"), std::nullopt);
  EXPECT_EQ(size("null"), std::nullopt);
}

TEST(ShardIndex, RefusesMalformedIndexes) {
  struct BadIndex {
    std::string text;
    std::string fragment;
  };
  const auto map_to = [](const std::string& file) {
    return R"({"weight_map":{"a":)" + file + "}}";
  };
  const auto metadata = [](const std::string& value) {
    return R"({"metadata":)" + value + R"(,"weight_map":{"a":"m.safetensors"}})";
  };
  const std::string name_expected = "weight_map 'a': expected a file name";
  for (const BadIndex& bad : std::vector<BadIndex>{
           {"", "invalid JSON"},
           {"[]", "expected an object, got an array"},
           {"{}", "weight_map: expected a non-empty object, got null"},
           {R"({"weight_map":null})", "weight_map: expected a non-empty object, got null"},
           {R"({"weight_map":{}})", "weight_map: expected a non-empty object"},
           {R"({"weight_map":[]})", "weight_map: expected a non-empty object, got an array"},
           {R"({"weight_map":{"a":"m.safetensors","a":"m.safetensors"}})", "duplicate key 'a'"},
           {R"({"weight_map":{"":"m.safetensors"}})", "tensor name of 0 bytes"},
           {R"({"weight_map":{")" + std::string(1025, 'n') + R"(":"m.safetensors"}})",
            "tensor name of 1025 bytes"},
           {map_to("1"), name_expected},
           {map_to("null"), name_expected},
           {map_to(R"("")"), name_expected},
           {map_to(R"(".safetensors")"), name_expected},
           {map_to(R"("m.bin")"), name_expected},
           {map_to(R"("m.safetensors.bin")"), name_expected},
           {map_to(R"("/etc/m.safetensors")"), name_expected},
           {map_to(R"("../m.safetensors")"), name_expected},
           {map_to(R"("sub/m.safetensors")"), name_expected},
           {map_to(R"("sub\\m.safetensors")"), name_expected},
           {map_to(R"("m\u0000.safetensors")"), name_expected},
           {map_to(R"("m .safetensors")"), name_expected},
           {map_to(R"("mü.safetensors")"), name_expected},
           {map_to("\"" + std::string(300, 'm') + ".safetensors\""), name_expected},
           {metadata("1"), "metadata: expected an object, got 1"},
           {metadata("[]"), "metadata: expected an object, got an array"},
           {metadata(R"({"total_size":-1})"), "metadata: field 'total_size': expected an integer"},
           {metadata(R"({"total_size":1.5})"), "metadata: field 'total_size': expected an integer"},
           {metadata(R"({"total_size":1e300})"), "'total_size': expected an integer"},
           {metadata(R"({"total_size":"1"})"), "metadata: field 'total_size': expected an integer"},
           {metadata(R"({"total_size":18446744073709551615})"),
            "'total_size': expected an integer"},
       }) {
    expect_error_with(
        Code::kCorruptFile, bad.fragment, [&] { parse_shard_index(bad.text, "x.index.json"); },
        bad.text.substr(0, 100));
  }
}

TEST(ShardIndex, LimitsTheNumberOfShards) {
  std::string text = R"({"weight_map":{)";
  for (int i = 0; i < 1025; ++i) {
    const std::string number = std::to_string(i);
    text += (i == 0 ? "\"" : ",\"") + number + R"(":"m)" + number + R"(.safetensors")";
  }
  expect_error_with(
      Code::kCorruptFile, "1025 shards, expected at most 1024",
      [&] { parse_shard_index(text + "}}", "x"); }, "too many shards");
}

TEST(ContainmentRoot, IsTheRepositoryInACacheAndTheFolderElsewhere) {
  const TemporaryDirectory directory;
  const fs::path root = fs::canonical(directory.path());
  const fs::path snapshot = root / "models--a--b" / "snapshots" / "c0ffee" / "vae";
  fs::create_directories(snapshot);
  fs::create_directories(root / "models--local" / "vae");
  EXPECT_EQ(containment_root(snapshot), root / "models--a--b");
  EXPECT_EQ(containment_root(root / "models--local" / "vae"), root / "models--local" / "vae");
}

TEST(ResolveInside, ComparesWholeComponents) {
  const TemporaryDirectory directory;
  const fs::path root = fs::canonical(directory.path());
  fs::create_directories(root / "ab");
  fs::create_directories(root / "a");
  fs::create_symlink("../ab", root / "a" / "link");
  expect_error_with(Code::kUnsupported, "which is outside of",
                    [&] { resolve_inside(root / "a" / "link", root / "a"); });
  EXPECT_EQ(resolve_inside(root / "a" / "link", root), root / "ab");
  expect_error_with(Code::kNotFound, "absent", [&] { resolve_inside(root / "absent", root); });
}

}  // namespace
}  // namespace mxvideo::checkpoint
