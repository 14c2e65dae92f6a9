#include "checkpoint/model_path.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/file/atomic_file.h"
#include "base/text/field.h"
#include "checkpoint/containment.h"
#include "support/expect_error.h"
#include "support/test_support.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;
using mxvideo::test::TemporaryDirectory;
using test::expect_error_with;

TEST(CacheLocations, TakesTheFirstVariableThatIsSet) {
  Environment environment = {{"HOME", "/home/u"}};
  EXPECT_EQ(cache_locations(environment).hugging_face, "/home/u/.cache/huggingface/hub");
  environment["XDG_CACHE_HOME"] = "/xdg";
  EXPECT_EQ(cache_locations(environment).hugging_face, "/xdg/huggingface/hub");
  environment["HF_HOME"] = "~/hf";
  EXPECT_EQ(cache_locations(environment).hugging_face, "/home/u/hf/hub");
  environment["HUGGINGFACE_HUB_CACHE"] = "$HOME/old/${UNSET}";
  EXPECT_EQ(cache_locations(environment).hugging_face, "/home/u/old/${UNSET}");
  environment["HF_HUB_CACHE"] = "${HOME}x/$";
  EXPECT_EQ(cache_locations(environment).hugging_face, "/home/ux/$");
  environment["HF_HUB_CACHE"] = "";
  EXPECT_EQ(cache_locations(environment).hugging_face, "/home/u/old/${UNSET}");
  EXPECT_EQ(cache_locations({}).hugging_face, "");
  EXPECT_TRUE(cache_locations({}).modelscope.empty());
}

TEST(CacheLocations, FindsModelScope) {
  EXPECT_EQ(cache_locations({{"HOME", "/h"}}).modelscope.front(),
            "/h/.cache/modelscope/hub/models");
  EXPECT_EQ(cache_locations({{"HOME", "/h"}, {"MODELSCOPE_CACHE", "/ms"}}).modelscope.back(),
            "/ms");
}

// A cache with one repository, org/name, whose branch main is one commit.
class HubCache : public testing::Test {
 protected:
  HubCache() {
    write_ref("main", kCommit);
    add_file("model_index.json", nlohmann::json::parse(R"({
        "_class_name": "WanPipeline", "expand_timesteps": true, "boundary_ratio": null,
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "WanTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLWan"]})")
                                     .dump());
    for (const char* folder : {"scheduler", "text_encoder", "tokenizer", "vae", "transformer"}) {
      add_file(fs::path(folder) / "config.json", "{}");
    }
  }

  void write_ref(const fs::path& name, const std::string& text) {
    fs::create_directories((repository_ / "refs" / name).parent_path());
    write_file_atomically(repository_ / "refs" / name, text);
  }
  // As the Python library does: the content in blobs/, a relative link in the snapshot.
  void add_file(const fs::path& name, const std::string& text) {
    const fs::path blob = "blob" + std::to_string(blobs_++);
    fs::create_directories(repository_ / "blobs");
    write_file_atomically(repository_ / "blobs" / blob, text);
    const fs::path link = snapshot_ / name;
    fs::create_directories(link.parent_path());
    const fs::path up = name.has_parent_path() ? "../../../blobs" : "../../blobs";
    fs::create_symlink(up / blob, link);
  }
  ResolvedModel resolve(const std::string& text) { return resolve_model_path(text, caches_); }
  void expect_refused(Code code, const std::string& text, const std::string& fragment) {
    expect_error_with(
        code, fragment, [&] { resolve(text); }, text);
  }

  static constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";
  static constexpr const char* kOther = "ffffffffffffffffffffffffffffffffffffffff";
  TemporaryDirectory temporary_;
  fs::path root_ = temporary_.path();
  fs::path repository_ = root_ / "hub" / "models--org--name";
  fs::path snapshot_ = repository_ / "snapshots" / kCommit;
  CacheLocations caches_{.hugging_face = root_ / "hub", .modelscope = {root_ / "ms"}};
  int blobs_ = 0;
};

TEST_F(HubCache, ResolvesBranchesTagsAndCommits) {
  write_ref("refs/pr/1", std::string(kCommit) + "\n");
  for (const std::string text : {"org/name", "org/name@main", "org/name@refs/pr/1"}) {
    const ResolvedModel model = resolve(text);
    EXPECT_EQ(model.directory, snapshot_) << text;
    EXPECT_EQ(model.repository, "org/name");
    EXPECT_EQ(model.commit, kCommit);
  }
  EXPECT_EQ(resolve("org/name").revision, "main");
  EXPECT_EQ(resolve(std::string("org/name@") + kCommit).directory, snapshot_);
}

TEST_F(HubCache, PrefersAnExistingDirectory) {
  fs::create_directories(root_ / "dir@v1");
  const ResolvedModel model = resolve((root_ / "dir@v1").string());
  EXPECT_EQ(model.directory, root_ / "dir@v1");
  EXPECT_EQ(model.repository, "");
}

TEST_F(HubCache, NeverPicksAnotherRevision) {
  expect_refused(Code::kNotFound, "org/name@v2",
                 "model 'org/name': revision 'v2' is not in " + repository_.string() +
                     " (snapshots there: " + kCommit +
                     "); get it with: hf download org/name --revision v2, or name a snapshot: "
                     "org/name@" +
                     kCommit);
  expect_refused(Code::kNotFound, std::string("org/name@") + kOther,
                 "--revision " + std::string(kOther));
  write_ref("main", kOther);
  expect_refused(
      Code::kNotFound, "org/name",
      std::string("snapshots there: ") + kCommit + "); get it with: hf download org/name");
}

TEST_F(HubCache, NamesWhatWasSearched) {
  expect_refused(Code::kNotFound, "org/other",
                 "model 'org/other': not a directory and not in " +
                     (root_ / "hub/models--org--other").string() + ", " +
                     (root_ / "ms/org/other").string() + "; get it with: hf download org/other");
  EXPECT_EQ(mxvideo::test::expect_error([] { resolve_model_path("a/b", {}); }).code(),
            Code::kNotFound);
}

TEST_F(HubCache, RefusesTextThatIsNoModel) {
  for (const char* text : {"", "-x", "a b", "name.git", "a--b", "x@y@z", "ümlaut"}) {
    expect_refused(Code::kInvalidArgument, text, "model path");
  }
  for (const char* text : {"/no/such/dir", "./x", "../x", "a/b/c", "a/..", "org/-x", "org/x.",
                           "~/models/wan", "org//x"}) {
    expect_refused(Code::kNotFound, text, "no such directory, and not a repository id");
  }
  expect_refused(Code::kInvalidArgument, std::string("a\0b", 3), "model path");
  for (const char* revision : {"", "..", "a/../../b", "/etc", "a b", "a\nb"}) {
    expect_refused(Code::kInvalidArgument, std::string("org/name@") + revision,
                   "is not a branch, tag or commit");
  }
  expect_refused(Code::kNotFound, std::string(90, 'a') + "/" + std::string(90, 'b'),
                 "not a repository id");
  write_file_atomically(root_ / "file", "x");
  expect_refused(Code::kInvalidArgument, (root_ / "file").string(), "expected a directory");
}

TEST_F(HubCache, RefusesAReferenceThatIsNoCommit) {
  for (const char* text :
       {"", "main", "../../../etc", "0123", "0123456789ABCDEF0123456789ABCDEF01234567"}) {
    write_ref("main", text);
    expect_refused(Code::kCorruptFile, "org/name", "expected a commit of 40 hex digits");
  }
}

TEST_F(HubCache, ReportsFilesThatTheIndexNames) {
  add_file("vae/diffusion_pytorch_model.safetensors.index.json",
           R"({"weight_map":{"a":"x-1.safetensors","b":"x-2.safetensors"}})");
  add_file("vae/x-1.safetensors", "x");
  write_file_atomically(repository_ / "blobs" / "abc.incomplete", "x");
  expect_refused(Code::kNotFound, "org/name",
                 "incomplete: 1 file missing: vae/x-2.safetensors; 1 unfinished download "
                 "(*.incomplete) in blobs; complete it with: hf download org/name");
}

TEST_F(HubCache, ReportsDanglingLinksAndAbsentFolders) {
  fs::remove_all(snapshot_ / "tokenizer");
  fs::remove(repository_ / "blobs" / "blob1");  // scheduler/config.json
  expect_refused(Code::kNotFound, "org/name",
                 "incomplete: 2 files missing: scheduler/config.json, tokenizer/; complete");
}

TEST_F(HubCache, ComparesWithTheListingOfTheRepository) {
  fs::create_directories(repository_ / "trees");
  const auto write_tree = [&](const std::string& files) {
    write_file_atomically(repository_ / "trees" / (std::string(kCommit) + ".json"),
                          R"({"format_version": 1, "files": {)" + files + "}}");
  };
  write_tree(R"("vae/config.json": {"size": 2}, "README.md": {"size": 5}, "x.png": {"size": 9})");
  EXPECT_EQ(resolve("org/name").directory, snapshot_);
  write_tree(
      R"("vae/config.json": {"size": 2}, "vae/diffusion_pytorch_model.safetensors": {"size": 5})");
  expect_refused(Code::kNotFound, "org/name",
                 "1 file missing: vae/diffusion_pytorch_model.safetensors");
  write_tree(R"("vae/config.json": {"size": 3})");
  expect_refused(Code::kCorruptFile, "org/name",
                 "1 file of wrong size: vae/config.json (expected 3 bytes, got 2)");
  write_tree(R"("vae/../../../../x.json": {"size": 3})");
  expect_refused(Code::kCorruptFile, "org/name", "is not a path inside the repository");
  write_tree(R"("vae/config.json": {"size": -3})");
  expect_refused(Code::kCorruptFile, "org/name", "'vae/config.json': field 'size'");
  write_tree(R"("vae/config.json": 3)");
  expect_refused(Code::kCorruptFile, "org/name", "expected an object, got 3");
}

TEST_F(HubCache, RefusesLinksThatLeaveTheRepository) {
  write_file_atomically(root_ / "secret.json", "{}");
  fs::create_symlink(root_ / "secret.json", snapshot_ / "vae" / "extra.json");
  expect_refused(Code::kUnsupported, "org/name", field("allow_links") + " follows it");
  allow_links(true);
  EXPECT_EQ(resolve("org/name").directory, snapshot_);
  allow_links(false);
}

TEST_F(HubCache, NeedsOnlyWhatIsRead) {
  fs::create_directories(repository_ / "trees");
  std::string files;
  for (const char* name :
       {"vae/diffusion_pytorch_model.fp16.safetensors",
        "transformer/diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
        "transformer/diffusion_pytorch_model.safetensors.index.fp16.json",
        "text_encoder/model.fp16.safetensors.index.json", "text_encoder/pytorch_model.bin",
        "vae/old.safetensors", "assets/a.json", "tokenizer/x.png", "unet/config.json"}) {
    files += (files.empty() ? "\"" : ", \"") + std::string(name) + R"(": {"size": 9})";
  }
  const auto write_tree = [&](const std::string& more) {
    write_file_atomically(repository_ / "trees" / (std::string(kCommit) + ".json"),
                          R"({"format_version": 1, "files": {)" + files + more + "}}");
  };
  write_tree("");
  EXPECT_EQ(resolve("org/name").directory, snapshot_);
  fs::create_symlink("../../../blobs/gone",
                     snapshot_ / "vae/diffusion_pytorch_model.fp16.safetensors");
  write_file_atomically(root_ / "notes", "x");
  fs::create_symlink(root_ / "notes", snapshot_ / "vae/notes.md");  // not read, wherever it leads
  EXPECT_EQ(resolve("org/name").directory, snapshot_);

  // What another path replaces.
  write_tree(R"(, "transformer/diffusion_pytorch_model.safetensors": {"size": 9})");
  expect_refused(Code::kNotFound, "org/name", "1 file missing: transformer/diffusion");
  const ModelNeeds replaced{.components = {{"transformer", false}}};
  EXPECT_EQ(resolve_model_path("org/name", caches_, replaced).directory, snapshot_);
  fs::remove_all(snapshot_ / "transformer");
  EXPECT_EQ(resolve_model_path("org/name", caches_, replaced).directory, snapshot_);
  fs::remove_all(repository_ / "trees");
  EXPECT_EQ(resolve_model_path("org/name", caches_, replaced).directory, snapshot_);
  expect_refused(Code::kNotFound, "org/name", "1 file missing: transformer/;");
}

// One of the two forms in which weights may be published.
TEST_F(HubCache, NeedsOneFormOfWeightsAndOfTheTokenizer) {
  fs::create_directories(repository_ / "trees");
  const std::string vae = "vae/diffusion_pytorch_model";
  write_file_atomically(repository_ / "trees" / (std::string(kCommit) + ".json"),
                        R"({"format_version": 1, "files": {")" + vae +
                            R"(.safetensors": {"size": 1}, ")" + vae +
                            R"(-00001-of-00001.safetensors": {"size": 1}, ")" + vae +
                            R"(.safetensors.index.json": {"size": 1},
                              "tokenizer/spiece.model": {"size": 1},
                              "tokenizer/tokenizer.json": {"size": 2}}})");
  expect_refused(Code::kNotFound, "org/name",
                 "5 files missing: tokenizer/spiece.model, tokenizer/tokenizer.json, " + vae +
                     "-00001-of-00001.safetensors, " + vae + ".safetensors, " + vae +
                     ".safetensors.index.json;");
  add_file(vae + ".safetensors", "x");
  add_file("tokenizer/tokenizer.json", "{}");
  EXPECT_EQ(resolve("org/name").directory, snapshot_);
}

TEST_F(HubCache, NamesCommitsThatNoReferenceLeadsTo) {
  fs::remove_all(repository_ / "refs");
  expect_refused(
      Code::kNotFound, "org/name",
      "get it with: hf download org/name, or name a snapshot: org/name@" + std::string(kCommit));
  EXPECT_EQ(resolve(std::string("org/name@") + kCommit).directory, snapshot_);
  EXPECT_EQ(resolve("org/name@0123456").commit, kCommit);
  expect_refused(Code::kNotFound, "org/name@012345", "is not in");
  fs::create_directories(repository_ / "snapshots" / (std::string(8, '0') + kOther).substr(0, 40));
  fs::create_directories(repository_ / "snapshots" / ("0123456" + std::string(33, 'a')));
  expect_refused(Code::kNotFound, "org/name@0123456", "is not in");  // two begin so
  EXPECT_EQ(resolve("org/name@01234567").commit, kCommit);
}

// As Windows and HF_HUB_DISABLE_SYMLINKS leave it.
TEST_F(HubCache, TakesFilesInThePlaceOfLinks) {
  for (const auto& entry : fs::recursive_directory_iterator(snapshot_)) {
    if (!entry.is_symlink()) continue;
    const fs::path blob = fs::canonical(entry.path());
    fs::remove(entry.path());
    fs::copy_file(blob, entry.path());
  }
  fs::remove_all(repository_ / "blobs");
  EXPECT_EQ(resolve("org/name").directory, snapshot_);
}

// Blobs moved to another disk are a question of trust, a repository that moved as a whole is none.
TEST_F(HubCache, FollowsARepositoryThatMoved) {
  fs::rename(repository_, root_ / "moved");
  fs::create_directory_symlink(root_ / "moved", repository_);
  EXPECT_EQ(resolve("org/name").directory, snapshot_);
  EXPECT_EQ(containment_root(snapshot_ / "vae"), fs::canonical(root_ / "moved"));
  fs::rename(root_ / "moved" / "blobs", root_ / "disk");
  fs::create_directory_symlink(root_ / "disk", root_ / "moved" / "blobs");
  expect_refused(Code::kUnsupported, "org/name",
                 "is a link to " + fs::canonical(root_ / "disk").string());
}

TEST_F(HubCache, KnowsWhatItHas) {
  EXPECT_TRUE(is_cached_model("org/name", caches_));
  EXPECT_TRUE(is_cached_model("org/name@v2", caches_));
  fs::create_directories(root_ / "ms" / "org" / "Wan2___2");
  EXPECT_TRUE(is_cached_model("org/Wan2.2", caches_));
  for (const char* text : {"org/other", "name", "./name", "org/name/x", ""}) {
    EXPECT_FALSE(is_cached_model(text, caches_)) << text;
  }
}

TEST_F(HubCache, FallsBackToModelScopeOnlyWithoutARevision) {
  fs::create_directories(root_ / "ms" / "org" / "Wan2___2");
  const ResolvedModel model = resolve("org/Wan2.2");
  EXPECT_EQ(model.directory, root_ / "ms" / "org" / "Wan2___2");
  EXPECT_EQ(model.commit, "");
  expect_refused(Code::kNotFound, "org/Wan2.2@v1",
                 "get it with: hf download org/Wan2.2 --revision v1");
}

}  // namespace
}  // namespace mxvideo::checkpoint
