// What the end-to-end tests share: a scratch directory with an empty working directory in it, the
// tiny models of tests/golden/models, runs of the mxvideo binary in that directory.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/process.h"
#include "support/test_support.h"

namespace mxvideo::test {

using Arguments = std::vector<std::string>;

// tests/golden/models/<variant>.
std::filesystem::path tiny_model(const std::string& variant);

std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, const std::string& text);
nlohmann::json read_json(const std::filesystem::path& path);

class CliTest : public testing::Test {
 protected:
  CliTest();

  // Where the binary runs; empty at first.
  const std::filesystem::path& work() const { return work_; }
  // A directory for what a test prepares.
  const std::filesystem::path& scratch() const { return scratch_.path(); }
  // Names in work(), sorted.
  std::vector<std::string> outputs() const;

  ProcessOptions command(Arguments arguments) const;
  // Nothing that is said may hold the marks of base/text/field.h.
  ProcessResult run(Arguments arguments) const;

  // "generate" with a tiny model and a request of two steps that takes a tenth of a second.
  // `extra` comes last.
  static Arguments generate(const std::string& variant, const Arguments& extra);

  // Exit status `code`; exactly one line of error, the last one on stderr, in which `fragment`
  // occurs; nothing on stdout; nothing written.
  void expect_failure(const ProcessResult& result, int code, const std::string& fragment) const;
  static void expect_success(const ProcessResult& result);

  // An RGB picture of 64x48, as PNG.
  std::filesystem::path picture() const;

 private:
  TemporaryDirectory scratch_;
  std::filesystem::path work_;
};

}  // namespace mxvideo::test
