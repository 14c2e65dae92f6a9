// What the tests of interrupted conversions share: `mxvideo quantize` and `mxvideo repack` on a
// tiny model, each with a result of several shards, an old result of other shards to be
// overwritten, and what must hold after a run that something was done to.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/test_support.h"

namespace mxvideo::test {

using Tree = std::map<std::string, std::string>;  // relative name -> bytes

struct Conversion {
  std::string command;  // quantize or repack
  bool overwrite = false;
  bool copy = false;  // the rest of the model; otherwise it is linked
};

// "QuantizeOverwriting"
std::string conversion_name(const testing::TestParamInfo<Conversion>& conversion);

// Every test runs in a work directory that holds nothing but the target and what a conversion puts
// beside it.
class ConversionFixture : public testing::TestWithParam<Conversion> {
 protected:
  ConversionFixture();

  ProcessOptions command() const { return command("160KB"); }
  ProcessResult run() const { return run_process(command()); }

  // Empties the work directory; with `overwrite`, puts the old result there.
  void start_over() const;

  // The state after `result`, the outcome of a run that was disturbed: the target is the old or the
  // new one, whole; exit status 0, 7 or SIGKILL, and 0 only with the new one. `reason`: must occur
  // in the message of a failed run.
  void expect_old_or_new(const ProcessResult& result, const std::string& reason) const;
  // A plain rerun ends with the bytes of an undisturbed one.
  void expect_rerun_completes() const;
  bool has_partial() const { return std::filesystem::exists(partial_); }
  bool is_new() const { return std::filesystem::exists(target_) && tree(target_) == new_; }

  const std::filesystem::path& root() const { return root_; }
  const std::filesystem::path& work() const { return work_; }

 private:
  ProcessOptions command(const std::string& shard_size) const;
  void expect_success(const ProcessOptions& options) const;
  void expect_matching_hashes() const;
  static Tree tree(const std::filesystem::path& directory);

  const TemporaryDirectory temporary_{memory_directory()};
  const std::filesystem::path root_ = temporary_.path();
  const std::filesystem::path model_ = root_ / "model";
  const std::filesystem::path export_ = root_ / "export";
  const std::filesystem::path work_ = root_ / "work";
  const std::filesystem::path target_ = work_ / "out";
  const std::filesystem::path partial_ = work_ / "out.partial";
  Tree old_;
  Tree new_;
};

}  // namespace mxvideo::test
