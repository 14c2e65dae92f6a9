#include "convert/output/output_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/sha256.h"
#include "base/text/field.h"
#include "support/test_support.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;

class OutputDirectoryTest : public testing::Test {
 protected:
  OutputDirectoryOptions options(const std::string& job = "job") const {
    OutputDirectoryOptions result;
    result.path = target_;
    result.job = job;
    return result;
  }
  OutputDirectoryOptions overwriting(const std::string& job = "job") const {
    OutputDirectoryOptions result = options(job);
    result.overwrite = true;
    return result;
  }
  void write_target(const std::string& text) const {
    OutputDirectory output(options());
    output.write_text("a/b.txt", text);
    output.commit();
  }
  fs::path write(const std::string& name, const std::string& text) const {
    fs::path path = root_ / name;
    fs::create_directories(path.parent_path());
    write_file_atomically(path, text);
    return path;
  }
  std::string text_of(const fs::path& path) const { return read_file(path, 1 << 20); }

  // As a process that was killed leaves it: `during` runs in a child that ends without destructors.
  static void killed(const std::function<void()>& during) {
    const pid_t child = ::fork();
    if (child == 0) {
      during();
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
  }
  void expect_refused(Code code, const std::string& fragment,
                      const OutputDirectoryOptions& refused) const {
    const Error error = test::expect_error([&] { OutputDirectory output(refused); });
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(fragment), std::string::npos) << error.what();
  }

  test::TemporaryDirectory temporary_;
  const fs::path root_ = fs::canonical(temporary_.path());
  const fs::path target_ = root_ / "out";
  const fs::path partial_ = root_ / "out.partial";
  const std::string hash_of_abc_ =
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
};

TEST_F(OutputDirectoryTest, AppearsWholeOnCommit) {
  OutputDirectory output(options());
  output.write_text("a/b.txt", "abc");
  write_file_atomically(output.path_of("c.bin"), "12345");
  EXPECT_EQ(output.finished("c.bin", {{"layers", 3}}).bytes, 5);
  write_file_atomically(output.path_of("empty/unnoted"), "x");
  EXPECT_FALSE(fs::exists(target_));
  EXPECT_TRUE(fs::exists(partial_));
  output.commit({{"command", "test"}});
  EXPECT_FALSE(fs::exists(partial_));
  EXPECT_EQ(files_below(target_), (std::vector<std::string>{"a/b.txt", "c.bin", "complete.json"}));
  EXPECT_FALSE(fs::exists(target_ / "empty"));
  const FileRecords files = read_complete_file(target_).value();
  EXPECT_EQ(files.size(), 2u);
  EXPECT_EQ(files.at("a/b.txt").sha256, hash_of_abc_);
  EXPECT_EQ(files.at("a/b.txt").bytes, 3);
  EXPECT_EQ(files.at("c.bin").sha256, sha256_file(target_ / "c.bin"));
  const auto complete = nlohmann::json::parse(text_of(target_ / kCompleteFile));
  EXPECT_EQ(complete["summary"]["command"], "test");
  EXPECT_FALSE(complete["files"]["c.bin"].contains("note"));
  EXPECT_EQ(test::expect_error([&] { output.commit(); }).code(), Code::kInternal);
}

TEST_F(OutputDirectoryTest, TakesAPathWithATrailingSlash) {
  OutputDirectoryOptions slash = options();
  slash.path = target_.string() + "/";
  OutputDirectory output(slash);
  EXPECT_EQ(output.target(), target_);
  EXPECT_TRUE(fs::exists(partial_));
}

TEST_F(OutputDirectoryTest, LeavesNothingWhenNothingWasFinished) {
  {
    OutputDirectory output(options());
    write_file_atomically(output.path_of("a/b"), "abc");
  }
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(OutputDirectoryTest, RefusesPathsThatNameNothingNew) {
  OutputDirectoryOptions bad = options();
  bad.path = "";
  expect_refused(Code::kInvalidArgument, "empty path", bad);
  for (const char* path : {".", "..", "/", "../.."}) {
    bad.path = path;
    expect_refused(Code::kInvalidArgument, "names no new directory", bad);
  }
  bad.path = root_ / "absent/out";
  expect_refused(Code::kInvalidArgument, "there is no directory", bad);
  bad.path = write("file", "x") / "out";
  expect_refused(Code::kInvalidArgument, "there is no directory", bad);
}

TEST_F(OutputDirectoryTest, RefusesToTouchAnInput) {
  write("model/vae/x", "abc");
  fs::create_directory_symlink(root_ / "model", root_ / "alias");
  fs::create_symlink(root_ / "model/vae/x", root_ / "link");
  const auto refuses = [&](const fs::path& path, const fs::path& input, const char* why) {
    OutputDirectoryOptions bad = overwriting();
    bad.path = path;
    bad.inputs = {root_ / "elsewhere", input};
    expect_refused(Code::kInvalidArgument, why, bad);
  };
  const fs::path model = root_ / "model";
  refuses(model, model, "would overwrite the input");
  refuses(root_ / "alias/../model", model, "would overwrite the input");
  refuses(model, root_ / "alias/vae/x", "would overwrite the input");
  refuses(model, model / "vae/", "would overwrite the input");
  refuses(root_ / "link", root_ / "link", "would overwrite the input");
  refuses(target_, root_ / "out.partial/x", "would overwrite the input");
  refuses(root_ / "alias/new", model, "lies inside the input");
  refuses(model / "vae/new", root_ / "alias", "lies inside the input");
  EXPECT_EQ(files_below(model), std::vector<std::string>{"vae/x"});
  OutputDirectoryOptions beside = options();
  beside.path = root_ / "model-mxfp8";
  beside.inputs = {model};
  OutputDirectory allowed(beside);
}

TEST_F(OutputDirectoryTest, RefusesWhatDoesNotFit) {
  OutputDirectoryOptions big = options();
  big.bytes_needed = int64_t{1} << 60;
  const Error error = test::expect_error([&] { OutputDirectory output(big); });
  EXPECT_EQ(error.code(), Code::kIo);
  const std::string message = error.what();
  EXPECT_NE(message.find(target_.string() + ": needs 1210567579837189324 bytes"), std::string::npos)
      << message;
  EXPECT_NE(message.find(" bytes free"), std::string::npos) << message;
  EXPECT_TRUE(fs::is_empty(root_));
  big.bytes_needed = INT64_MAX;
  expect_refused(Code::kIo, "bytes free", big);
}

TEST_F(OutputDirectoryTest, CountsWhatAResumedJobHasWritten) {
  killed([&] {
    OutputDirectory output(options());
    AtomicFile file(output.path_of("big"));
    file.allocate(int64_t{64} << 20);
    file.commit();
    output.finished("big");
    AtomicFile unfinished(output.path_of("next"));
    unfinished.allocate(int64_t{64} << 20);
    ::_exit(0);
  });
  const auto needed = [&](const std::string& job) {
    OutputDirectoryOptions big = options(job);
    big.bytes_needed = int64_t{1} << 60;
    big.discard_partial = job != "job";
    const std::string message = test::expect_error([&] { OutputDirectory output(big); }).what();
    return std::stoull(message.substr(message.find("needs ") + 6));
  };
  EXPECT_EQ(needed("job"), 1210567579837189324u - (64u << 20));
  EXPECT_EQ(files_below(partial_), (std::vector<std::string>{".mxvideo-journal.json", "big"}));
  EXPECT_EQ(needed("other"), 1210567579837189324u);
}

TEST_F(OutputDirectoryTest, ResumesWhatIsStillWhole) {
  killed([&] {
    OutputDirectory output(options());
    output.write_text("good", "abc");
    output.finished("good", {{"note", 7}});
    output.write_text("changed", "abc");
    output.write_text("gone", "abc");
    output.write_text("longer", "abc");
    output.write_text("unclaimed", "abc");
    write_file_atomically(output.path_of("unfinished"), "abc");
    write_file_atomically(output.path_of("x/y.partial-123"), "abc");
    ::_exit(0);
  });
  write("out.partial/changed", "abd");
  write("out.partial/longer", "abcd");
  fs::remove(partial_ / "gone");
  OutputDirectory output(options());
  EXPECT_FALSE(fs::exists(partial_ / "unfinished"));
  EXPECT_FALSE(fs::exists(partial_ / "x"));
  const std::optional<FileRecord> good = output.reusable("good");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->sha256, hash_of_abc_);
  EXPECT_EQ(good->note["note"], 7);
  for (const char* name : {"changed", "gone", "longer", "never"}) {
    EXPECT_FALSE(output.reusable(name)) << name;
  }
  output.write_text("changed", "new");
  output.commit();
  EXPECT_EQ(files_below(target_), (std::vector<std::string>{"changed", "complete.json", "good"}));
  EXPECT_EQ(text_of(target_ / "changed"), "new");
}

TEST_F(OutputDirectoryTest, KeepsWhatARunThatFailedHadFinished) {
  {
    OutputDirectory output(options());
    output.write_text("a", "abc");
    output.write_text("b", "abc");
  }
  { OutputDirectory untouched(options()); }
  {
    OutputDirectory output(options());
    EXPECT_TRUE(output.reusable("a"));
    output.write_text("c", "abc");
  }
  OutputDirectory output(options());
  for (const char* name : {"a", "b", "c"}) EXPECT_TRUE(output.reusable(name)) << name;
}

TEST_F(OutputDirectoryTest, RefusesThePartialOutputOfAnotherJob) {
  {
    OutputDirectory output(options("one"));
    output.write_text("a", "abc");
  }
  expect_refused(Code::kInvalidArgument, "partial output of another job", options("two"));
  EXPECT_TRUE(fs::exists(partial_ / "a"));
  OutputDirectoryOptions discard = options("two");
  discard.discard_partial = true;
  OutputDirectory output(discard);
  EXPECT_FALSE(fs::exists(partial_ / "a"));
  EXPECT_FALSE(output.reusable("a"));
}

TEST_F(OutputDirectoryTest, NeverTakesOverADirectoryThatIsNotItsOwn) {
  write("out.partial/precious", "abc");
  OutputDirectoryOptions discard = options();
  discard.discard_partial = true;
  expect_refused(Code::kInvalidArgument, "it holds precious", options());
  expect_refused(Code::kInvalidArgument, "it holds precious", discard);
  EXPECT_EQ(text_of(partial_ / "precious"), "abc");
  fs::remove_all(partial_);
  write("out.partial", "a file");
  expect_refused(Code::kIo, "cannot open the directory", discard);
  fs::remove(partial_);
  fs::create_directory(root_ / "elsewhere");
  fs::create_directory_symlink(root_ / "elsewhere", partial_);
  expect_refused(Code::kIo, "cannot open the directory", discard);
}

TEST_F(OutputDirectoryTest, ReportsADamagedJournal) {
  const std::string hash(64, '0');
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string(R"({"job": "job"})"),
        std::string(R"({"job": "job", "files": {"a": {"bytes": -1, "sha256": ""}}})"),
        std::string(R"({"job": "job", "files": {"a": {"bytes": 1, "sha256": "zz"}}})"),
        R"({"job": "job", "files": {"../a": {"bytes": 1, "sha256": ")" + hash + R"("}}})",
        R"({"job": "job", "files": {"/a": {"bytes": 1, "sha256": ")" + hash + R"("}}})"}) {
    write("out.partial/.mxvideo-journal.json", text);
    expect_refused(Code::kCorruptFile, ".mxvideo-journal.json", options());
  }
  OutputDirectoryOptions discard = options();
  discard.discard_partial = true;
  OutputDirectory output(discard);
}

TEST_F(OutputDirectoryTest, IsLockedAgainstOtherProcesses) {
  int from_child[2];
  int to_child[2];
  ASSERT_EQ(::pipe(from_child), 0);
  ASSERT_EQ(::pipe(to_child), 0);
  char byte = 0;
  const pid_t child = ::fork();
  if (child == 0) {
    OutputDirectory output(options());
    output.write_text("a", "abc");
    if (::write(from_child[1], "x", 1) != 1 || ::read(to_child[0], &byte, 1) != 1) ::_exit(1);
    output.commit();
    ::_exit(0);
  }
  ASSERT_EQ(::read(from_child[0], &byte, 1), 1);
  expect_refused(Code::kInvalidArgument, "another process", options());
  OutputDirectoryOptions discard = options("other");
  discard.discard_partial = true;
  expect_refused(Code::kInvalidArgument, "another process", discard);
  ASSERT_EQ(::write(to_child[1], "x", 1), 1);
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(fs::exists(target_ / "a"));
  for (const int fd : {from_child[0], from_child[1], to_child[0], to_child[1]}) ::close(fd);
}

TEST_F(OutputDirectoryTest, RefusesWhatExists) {
  write_target("abc");
  expect_refused(Code::kInvalidArgument, "exists already", options());
  EXPECT_FALSE(fs::exists(partial_));
  fs::remove_all(target_);
  fs::create_symlink("nowhere", target_);
  expect_refused(Code::kInvalidArgument, "exists already", options());
  expect_refused(Code::kInvalidArgument, "it is no directory", overwriting());
  fs::remove(target_);
  write("out", "a file");
  expect_refused(Code::kInvalidArgument, "it is no directory", overwriting());
  fs::remove(target_);
  write("out/letter", "a file");
  expect_refused(Code::kInvalidArgument, "it has no complete.json", overwriting());
  fs::remove_all(target_);
  write_target("abc");
  write("out/a/own", "a file");
  expect_refused(Code::kInvalidArgument, "mxvideo did not write: a/own", overwriting());
}

TEST_F(OutputDirectoryTest, RefusesWhatAppearedMeanwhile) {
  OutputDirectory output(options());
  output.write_text("a", "abc");
  write("out/theirs", "abc");
  EXPECT_EQ(test::expect_error([&] { output.commit(); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(files_below(target_), std::vector<std::string>{"theirs"});
  EXPECT_EQ(test::expect_error([&] { rename_new(partial_, target_); }).code(),
            Code::kInvalidArgument);
  fs::remove_all(target_);
  output.commit();
  EXPECT_TRUE(fs::exists(target_ / "a"));
}

TEST_F(OutputDirectoryTest, OverwritesACompleteDirectory) {
  write_target("old");
  {
    OutputDirectory output(overwriting());
    output.write_text("new.txt", "new");
    EXPECT_EQ(text_of(target_ / "a/b.txt"), "old");
    output.commit();
  }
  EXPECT_EQ(files_below(target_), (std::vector<std::string>{"complete.json", "new.txt"}));
  EXPECT_FALSE(fs::exists(partial_));
  fs::remove_all(target_);
  fs::create_directory(target_);
  OutputDirectory output(overwriting());
  output.write_text("new.txt", "new");
  output.commit();
  EXPECT_EQ(files_below(target_), (std::vector<std::string>{"complete.json", "new.txt"}));
}

TEST_F(OutputDirectoryTest, RemovesTheReplacedDirectoryOfAKilledCommit) {
  write_target("new");
  write("out/.mxvideo-journal.json", "{}");  // the journal stays until the old directory is gone
  write("out.partial/old.txt", "old");
  write("out.partial/complete.json", "{\"files\": {}}");
  expect_refused(Code::kInvalidArgument, "exists already", options());
  OutputDirectory output(overwriting("other"));
  EXPECT_EQ(files_below(partial_), std::vector<std::string>{".mxvideo-journal.json"});
  EXPECT_EQ(files_below(target_), (std::vector<std::string>{"a/b.txt", "complete.json"}));
}

TEST_F(OutputDirectoryTest, LinksInputs) {
  const fs::path blob = write("cache/blobs/0123", "abc");
  fs::create_directories(root_ / "cache/snapshots");
  fs::create_symlink("../blobs/0123", root_ / "cache/snapshots/vae.bin");
  {
    OutputDirectory output(options());
    output.add_file("vae/link.bin", root_ / "cache/snapshots/vae.bin", false);
    output.add_file("vae/copy.bin", root_ / "cache/snapshots/vae.bin", true);
  }
  OutputDirectory output(options());  // both again, as a resumed job does
  output.add_file("vae/link.bin", root_ / "cache/snapshots/vae.bin", false);
  EXPECT_FALSE(output.reusable("vae/link.bin"));
  output.add_file("vae/copy.bin", root_ / "cache/snapshots/vae.bin", true);
  output.commit();
  struct stat source {};
  struct stat link {};
  ASSERT_EQ(::stat(blob.c_str(), &source), 0);
  ASSERT_EQ(::lstat((target_ / "vae/link.bin").c_str(), &link), 0);
  EXPECT_EQ(link.st_ino, source.st_ino);
  EXPECT_EQ(source.st_nlink, 2u);
  EXPECT_EQ(text_of(target_ / "vae/copy.bin"), "abc");
  const FileRecords files = read_complete_file(target_).value();
  EXPECT_EQ(files.at("vae/link.bin").bytes, 3);
  EXPECT_EQ(files.at("vae/link.bin").sha256, "");
  EXPECT_EQ(files.at("vae/link.bin").linked_to, blob.string());
  EXPECT_EQ(files.at("vae/copy.bin").sha256, hash_of_abc_);
  EXPECT_EQ(files.at("vae/copy.bin").linked_to, "");
}

TEST_F(OutputDirectoryTest, RefusesLinksAcrossFileSystems) {
  const fs::path elsewhere = "/proc/version";  // certainly another file system
  OutputDirectory output(options());
  const Error error = test::expect_error([&] { output.add_file("version", elsewhere, false); });
  EXPECT_EQ(error.code(), Code::kIo);
  EXPECT_NE(std::string(error.what()).find(field("copy") + " copies instead"), std::string::npos)
      << error.what();
}

TEST_F(OutputDirectoryTest, RefusesInputsThatItCannotTakeOver) {
  write_target("abc");
  OutputDirectory output(overwriting());
  const auto code_of = [&](const fs::path& source) {
    return test::expect_error([&] { output.add_file("x", source, false); }).code();
  };
  fs::create_directory_symlink(target_, root_ / "alias");
  EXPECT_EQ(code_of(root_ / "absent"), Code::kNotFound);
  EXPECT_EQ(code_of(root_), Code::kNotFound);
  EXPECT_EQ(code_of(root_ / "alias/a/b.txt"), Code::kInvalidArgument);
}

TEST_F(OutputDirectoryTest, RefusesNamesOutside) {
  OutputDirectory output(options());
  for (const char* name : {"", ".", "..", "../x", "a/../../x", "/etc/x", "a/", "complete.json",
                           "./complete.json", ".mxvideo-journal.json"}) {
    EXPECT_EQ(test::expect_error([&] { output.path_of(name); }).code(), Code::kInvalidArgument)
        << name;
  }
  EXPECT_EQ(test::expect_error([&] { output.finished("absent"); }).code(), Code::kInternal);
  EXPECT_EQ(test::expect_error([&] { output.write_text("\xff", "abc"); }).code(),
            Code::kInvalidArgument);
}

TEST_F(OutputDirectoryTest, NoticesFilesThatChangedBeforeTheCommit) {
  OutputDirectory output(options());
  output.write_text("a", "abc");
  write("out.partial/a", "abcd");
  const std::string longer = test::expect_error([&] { output.commit(); }).what();
  EXPECT_NE(longer.find("expected 3 bytes, got 4"), std::string::npos) << longer;
  fs::remove(partial_ / "a");
  const std::string gone = test::expect_error([&] { output.commit(); }).what();
  EXPECT_NE(gone.find("got no file"), std::string::npos) << gone;
  EXPECT_FALSE(fs::exists(target_));
}

TEST_F(OutputDirectoryTest, ReadsCompleteFilesStrictly) {
  EXPECT_FALSE(read_complete_file(root_));
  write("complete.json", "{}");
  EXPECT_EQ(test::expect_error([&] { read_complete_file(root_); }).code(), Code::kCorruptFile);
}

}  // namespace
}  // namespace mxvideo::convert
