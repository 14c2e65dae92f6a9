#include "base/file/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "base/error.h"
#include "support/test_support.h"

namespace mxvideo {
namespace {

namespace fs = std::filesystem;

class AtomicFileTest : public testing::Test {
 protected:
  fs::path path(const std::string& name) const { return temporary_.path() / name; }
  std::string text(const std::string& name) const { return read_file(path(name), 100); }
  size_t entries() const {
    const fs::directory_iterator all(temporary_.path());
    return static_cast<size_t>(std::distance(begin(all), end(all)));
  }
  // Code and message of what making an output throws.
  template <class Make>
  static Error refused(const Make& make) {
    return test::expect_error([&] { make(); });
  }

 private:
  test::TemporaryDirectory temporary_;
};

TEST_F(AtomicFileTest, AppearsOnlyOnCommit) {
  for (const Existing existing : {Existing::kKeep, Existing::kReplace}) {
    { AtomicFile(path("out.txt"), existing).write("half"); }
    EXPECT_EQ(entries(), 0u);
  }
  AtomicFile file(path("out.txt"), Existing::kKeep);
  file.write("whole");
  EXPECT_EQ(entries(), 1u) << "made before anything is written";
  EXPECT_FALSE(fs::exists(path("out.txt")));
  file.commit();
  EXPECT_EQ(file.path(), path("out.txt"));
  EXPECT_EQ(text("out.txt"), "whole");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(AtomicFileTest, HasOneWriterAtATime) {
  {
    AtomicFile first(path("a"), Existing::kKeep);
    const Error error = refused([&] { AtomicFile(path("a"), Existing::kReplace); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("another process is writing it"), std::string::npos);
    AtomicFile other(path("b"), Existing::kKeep);
    first.write("first");
    first.commit();
  }
  AtomicFile next(path("a"), Existing::kReplace);
  next.write("next");
  next.commit();
  EXPECT_EQ(text("a"), "next");
}

TEST_F(AtomicFileTest, KeepsWhatWasThere) {
  write_file_atomically(path("old"), "old");
  fs::create_symlink("nowhere", path("link"));
  for (const char* name : {"old", "link"}) {
    const Error error = refused([&] { AtomicFile(path(name), Existing::kKeep); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("exists already"), std::string::npos);
  }
  EXPECT_EQ(entries(), 2u);
  EXPECT_EQ(text("old"), "old");
}

TEST_F(AtomicFileTest, LosesNothingWhereTheNameWasTakenMeanwhile) {
  AtomicFile file(path("clip.mp4"), Existing::kKeep);
  file.write("mine");
  write_file_atomically(path("clip.mp4"), "other");
  write_file_atomically(path("clip-2.mp4"), "second");
  file.commit();
  EXPECT_EQ(file.path(), path("clip-3.mp4"));
  EXPECT_EQ(text("clip-3.mp4"), "mine");
  EXPECT_EQ(text("clip.mp4"), "other");
  EXPECT_EQ(text("clip-2.mp4"), "second");
}

TEST_F(AtomicFileTest, TakesOverWhatAKilledProcessLeft) {
  const fs::path left = AtomicFile(path("a"), Existing::kKeep).temporary_path();
  write_file_atomically(left, "of a killed process");
  AtomicFile file(path("a"), Existing::kKeep);
  file.write("new");
  file.commit();
  EXPECT_EQ(text("a"), "new");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(AtomicFileTest, ADirectoryAppearsWholeAndReplacesNothing) {
  {
    AtomicDirectory abandoned(path("frames"));
    write_file_atomically(abandoned.temporary_path() / "0", "0");
    EXPECT_EQ(refused([&] { AtomicDirectory(path("frames")); }).code(), Code::kInvalidArgument);
  }
  EXPECT_EQ(entries(), 0u);
  AtomicDirectory frames(path("frames"));
  write_file_atomically(frames.temporary_path() / "0", "0");
  frames.commit();
  EXPECT_EQ(text("frames/0"), "0");
  EXPECT_EQ(refused([&] { AtomicDirectory(path("frames")); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(entries(), 1u);
}

// What the handler of a second signal does, in a process that ends as it does.
TEST_F(AtomicFileTest, ASignalHandlerLeavesNothing) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    AtomicFile file(path("a")), reserved(path("b"), Existing::kReplace);
    AtomicDirectory directory(path("c"));
    file.write("half");
    for (int i = 0; i < 500; ++i) {
      write_file_atomically(directory.temporary_path() / std::to_string(i), "frame");
    }
    remove_open_atomic_files();
    ::_exit(entries() == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(entries(), 0u);
}

}  // namespace
}  // namespace mxvideo
