#include "fault/conversion_fixture.h"

#include <algorithm>
#include <csignal>

#include "base/file/atomic_file.h"
#include "base/sha256.h"
#include "convert/output/output_directory.h"

namespace mxvideo::test {

namespace fs = std::filesystem;

namespace {

// What quantize says about its layers may come before it.
std::string last_line(const std::string& text) {
  const std::string lines = text.substr(0, text.find_last_not_of('\n') + 1);
  return lines.substr(lines.find_last_of('\n') + 1);
}

}  // namespace

std::string conversion_name(const testing::TestParamInfo<Conversion>& conversion) {
  const Conversion& value = conversion.param;
  return std::string(value.command == "quantize" ? "Quantize" : "Repack") +
         (value.overwrite ? "Overwriting" : "Writing");
}

ConversionFixture::ConversionFixture() {
  fs::create_directory(work_);
  // Copied: links across file systems are another case than the usual one.
  fs::copy(fs::path(MXVIDEO_GOLDEN_DIR) / "models" / "ti2v-5b", model_,
           fs::copy_options::recursive);
  ProcessOptions make_export = command();
  make_export.arguments = {
      "quantize", "--model-path", model_.string(), "--layout", "modelslim",     "--mx-scale-rule",
      "floor",    "--rounding",   "half-away",     "-o",       export_.string()};
  expect_success(make_export);
  expect_success(command("400KB"));
  old_ = tree(target_);
  fs::rename(target_, root_ / "old");
  expect_success(command());
  new_ = tree(target_);
  const auto is_shard = [](const auto& file) {
    return file.first.find("-of-") != std::string::npos;
  };
  EXPECT_GT(std::count_if(new_.begin(), new_.end(), is_shard), 3);
  EXPECT_NE(old_, new_);
}

ProcessOptions ConversionFixture::command(const std::string& shard_size) const {
  std::vector<std::string> arguments = {
      GetParam().command, "--layout", "diffusers", "--shard-size",  shard_size, "--threads", "1",
      "--progress",       "none",     "-o",        target_.string()};
  const std::vector<std::string> inputs =
      GetParam().command == "quantize"
          ? std::vector<std::string>{"--model-path", model_.string()}
          : std::vector<std::string>{"--quant-path", export_.string(), "--original-model-path",
                                     model_.string()};
  arguments.insert(arguments.end(), inputs.begin(), inputs.end());
  if (GetParam().copy) arguments.emplace_back("--copy");
  if (GetParam().overwrite) arguments.emplace_back("--overwrite");
  return {.program = MXVIDEO_BINARY,
          .arguments = std::move(arguments),
          .directory = root_,
          .environment = {{"HOME", root_.string()}}};
}

void ConversionFixture::expect_success(const ProcessOptions& options) const {
  const ProcessResult result = run_process(options);
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

// The journal may outlive a killed commit.
Tree ConversionFixture::tree(const fs::path& directory) {
  Tree result;
  for (const std::string& name : convert::files_below(directory)) {
    if (name != convert::kJournalFile) result[name] = read_file(directory / name, 4 << 20);
  }
  return result;
}

void ConversionFixture::start_over() const {
  for (const fs::directory_entry& entry : fs::directory_iterator(work_)) {
    fs::remove_all(entry.path());
  }
  if (GetParam().overwrite) fs::copy(root_ / "old", target_, fs::copy_options::recursive);
}

void ConversionFixture::expect_matching_hashes() const {
  const convert::FileRecords files = convert::read_complete_file(target_).value();
  for (const auto& [name, record] : files) {
    EXPECT_EQ(static_cast<int64_t>(fs::file_size(target_ / name)), record.bytes) << name;
    if (record.linked_to.empty()) {
      EXPECT_EQ(sha256_file(target_ / name), record.sha256) << name;
    }
  }
}

void ConversionFixture::expect_old_or_new(const ProcessResult& result,
                                          const std::string& reason) const {
  if (result.signal != SIGKILL && result.exit_code != 0) {
    EXPECT_EQ(result.exit_code, 7) << "signal " << result.signal << ": " << result.err;
    EXPECT_TRUE(last_line(result.err).starts_with("mxvideo: io: ")) << result.err;
    EXPECT_EQ(result.err.find("mxvideo: "), result.err.rfind("mxvideo: ")) << result.err;
    EXPECT_NE(last_line(result.err).find(reason), std::string::npos) << result.err;
    EXPECT_EQ(result.out, "");
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(work_)) {
    EXPECT_TRUE(entry.path() == target_ || entry.path() == partial_) << entry.path();
  }
  if (!fs::exists(target_)) {
    EXPECT_FALSE(GetParam().overwrite) << "the old directory is gone";
    EXPECT_NE(result.exit_code, 0) << "reported success without a result";
    return;
  }
  const Tree found = tree(target_);
  EXPECT_TRUE(found == new_ || (GetParam().overwrite && found == old_));
  if (result.exit_code == 0) {
    EXPECT_EQ(found, new_) << "reported success without a result";
    EXPECT_FALSE(has_partial());
    EXPECT_EQ(result.out, target_.string() + "\n");
  }
  expect_matching_hashes();
}

void ConversionFixture::expect_rerun_completes() const {
  if (!GetParam().overwrite && fs::exists(target_)) return;
  expect_success(command());
  EXPECT_TRUE(is_new());
  EXPECT_FALSE(has_partial());
  EXPECT_FALSE(fs::exists(target_ / convert::kJournalFile));
  expect_matching_hashes();
}

}  // namespace mxvideo::test
