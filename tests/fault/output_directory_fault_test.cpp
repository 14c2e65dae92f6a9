// Every call to the file system fails once, in every way, while a directory is written: afterwards
// there is the old state or the whole new one, and a plain rerun ends with the same bytes.
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "base/file/atomic_file.h"
#include "base/sha256.h"
#include "convert/output/output_directory.h"
#include "support/fault_injection.h"
#include "support/test_support.h"

namespace mxvideo {
namespace {

namespace fs = std::filesystem;
using Tree = std::map<std::string, std::string>;

class OutputDirectoryFaults : public testing::TestWithParam<bool> {
 protected:
  OutputDirectoryFaults() {
    fs::create_directory(work_);
    write_file_atomically(input_, std::string(5000, 'i'));
    expect_success(run("old"));
    old_ = tree(target_);
    fs::rename(target_, root_ / "old");
    expect_success(run("new"));
    new_ = tree(target_);
    EXPECT_EQ(new_.size(), 6u);
    EXPECT_NE(old_, new_);
  }

  test::ProcessOptions command(const std::string& job) const {
    test::ProcessOptions options;
    options.program = MXVIDEO_WRITE_DIRECTORY;
    options.arguments = {target_.string(), job, input_.string()};
    if (GetParam()) options.arguments.push_back("overwrite");
    return options;
  }
  test::ProcessResult run(const std::string& job) const { return test::run_process(command(job)); }
  static void expect_success(const test::ProcessResult& result) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }

  // Relative name -> bytes. The journal may outlive a killed commit.
  static Tree tree(const fs::path& directory) {
    Tree result;
    for (const std::string& name : convert::files_below(directory)) {
      if (name != convert::kJournalFile) result[name] = read_file(directory / name, 1 << 20);
    }
    return result;
  }

  Tree tree_or_nothing() const { return fs::exists(target_) ? tree(target_) : Tree(); }

  void start_over() const {
    fs::remove_all(work_);
    fs::create_directory(work_);
    if (GetParam()) fs::copy(root_ / "old", target_, fs::copy_options::recursive);
  }

  void expect_matching_hashes() const {
    const convert::FileRecords files = convert::read_complete_file(target_).value();
    for (const auto& [name, record] : files) {
      EXPECT_EQ(static_cast<int64_t>(fs::file_size(target_ / name)), record.bytes) << name;
      if (record.linked_to.empty()) {
        EXPECT_EQ(sha256_file(target_ / name), record.sha256) << name;
      }
    }
  }

  // The state after a run that something was done to.
  void expect_old_or_new(const test::ProcessResult& result) const {
    EXPECT_TRUE(result.signal == SIGKILL || result.exit_code == 0 || result.exit_code == 1)
        << result.exit_code << " " << result.signal << ": " << result.err;
    EXPECT_EQ(result.exit_code == 1, !result.err.empty()) << result.err;
    if (!fs::exists(target_)) {
      EXPECT_FALSE(GetParam()) << "the old directory is gone";
      EXPECT_NE(result.exit_code, 0) << "reported success without a result";
      return;
    }
    const Tree found = tree(target_);
    EXPECT_TRUE(found == new_ || (GetParam() && found == old_));
    if (result.exit_code == 0) {
      EXPECT_EQ(found, new_) << "reported success without a result";
      EXPECT_FALSE(fs::exists(partial_));
    }
    expect_matching_hashes();
  }

  void expect_rerun_completes() const {
    if (!GetParam() && fs::exists(target_)) return;
    expect_success(run("new"));
    EXPECT_EQ(tree(target_), new_);
    EXPECT_FALSE(fs::exists(partial_));
    EXPECT_FALSE(fs::exists(target_ / convert::kJournalFile));
    expect_matching_hashes();
  }

  // Closing what was only read or is synced already, and removing the journal of a finished job.
  static bool may_fail_unnoticed(const std::string& call) {
    return call == "close" || call == "unlink";
  }

  // How many of the runs did not end with exit status 0.
  int try_every_call(const std::string& mode, int error) const {
    start_over();
    const int64_t calls = test::count_calls(command("new"), work_);
    EXPECT_GT(calls, 100);
    int failed = 0;
    for (int64_t at = 1; at <= calls && !HasFailure(); ++at) {
      SCOPED_TRACE(mode + " at call " + std::to_string(at) + ", errno " + std::to_string(error));
      start_over();
      const test::Fault fault{.directory = work_, .mode = mode, .at = at, .error = error};
      test::ProcessOptions options = command("new");
      options.environment["FAULT_CALL_FILE"] = call_file_.string();
      const test::ProcessResult result = test::run_with_fault(std::move(options), fault);
      if (result.exit_code != 0) ++failed;
      if (result.exit_code == 0 && mode == "error") {
        const std::string call = read_file(call_file_, 100);
        EXPECT_TRUE(may_fail_unnoticed(call)) << call;
      }
      expect_old_or_new(result);
      expect_rerun_completes();
    }
    return failed;
  }

  const test::TemporaryDirectory temporary_{test::memory_directory()};
  const fs::path root_ = temporary_.path();
  const fs::path work_ = root_ / "work";
  const fs::path target_ = work_ / "out";
  const fs::path partial_ = work_ / "out.partial";
  const fs::path call_file_ = root_ / "call";
  const fs::path input_ = root_ / "input";
  Tree old_;
  Tree new_;
};

TEST_P(OutputDirectoryFaults, EveryCallFails) {
  for (const int error : {EIO, ENOSPC, EDQUOT}) EXPECT_GT(try_every_call("error", error), 50);
}

TEST_P(OutputDirectoryFaults, EveryWriteIsShort) { EXPECT_EQ(try_every_call("short", 0), 0); }

TEST_P(OutputDirectoryFaults, KilledBeforeEveryCall) {
  EXPECT_GT(try_every_call("kill-before", 0), 100);
}

TEST_P(OutputDirectoryFaults, KilledAfterEveryCall) {
  EXPECT_GT(try_every_call("kill-after", 0), 100);
}

TEST_P(OutputDirectoryFaults, TheDiskIsFullAfterSomeBytes) {
  int failed = 0;
  for (int64_t bytes = 0; bytes <= 32'000 && !HasFailure(); bytes += 499) {
    SCOPED_TRACE("full after " + std::to_string(bytes));
    start_over();
    const test::Fault fault{.directory = work_, .mode = "full", .at = bytes};
    const test::ProcessResult result = test::run_with_fault(command("new"), fault);
    if (result.exit_code != 0) ++failed;
    if (result.exit_code != 0) {
      EXPECT_NE(result.err.find("No space left on device"), std::string::npos) << result.err;
    }
    expect_old_or_new(result);
    expect_rerun_completes();
  }
  EXPECT_GT(failed, 10);
  EXPECT_LT(failed, 65) << "the last sizes were meant to suffice";
}

// Killed again and again, a little later each time, it still gets on and ends.
TEST_P(OutputDirectoryFaults, KilledManyTimesInARow) {
  start_over();
  int runs = 0;
  for (int64_t at = 30; at < 1000 && tree_or_nothing() != new_; at += 5, ++runs) {
    const test::Fault fault{.directory = work_, .mode = "kill-after", .at = at};
    expect_old_or_new(test::run_with_fault(command("new"), fault));
  }
  EXPECT_GT(runs, 2);
  EXPECT_EQ(tree_or_nothing(), new_);
  expect_rerun_completes();
}

INSTANTIATE_TEST_SUITE_P(, OutputDirectoryFaults, testing::Values(false, true),
                         [](const auto& parameter) {
                           return parameter.param ? "Overwriting" : "Writing";
                         });

}  // namespace
}  // namespace mxvideo
