// What the tests of quantized models share: the independent script's exports of the tiny models,
// each made once per test binary, and ways to use them.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "e2e/cli_fixture.h"
#include "e2e/damaged_model.h"
#include "exports/export_script.h"

namespace mxvideo::test {

// Variants of tests/golden/models.
inline constexpr const char* kVariants[] = {"t2v-a14b", "i2v-a14b", "ti2v-5b"};

class QuantizedTest : public CliTest {
 protected:
  using Path = std::filesystem::path;

  // Read-only folders: what the script makes of a tiny model. `options` as its command line.
  static Path raw_export(const std::string& variant, const Arguments& options = {});
  static Path sglang_export(const std::string& variant, const Arguments& options = {});
  static Path comfy_export(const std::string& variant, const Arguments& options = {});
  static Path config_export(const std::string& variant, const Arguments& options = {});

  // A new path below scratch().
  Path target() const;
  // A copy in scratch() that a test may damage.
  Path copy_of(const Path& source) const;

  // Flags of generate that take the transformers from a raw export or from ComfyUI files.
  static Arguments from_raw(const Path& raw);
  static Arguments from_comfy(const Path& folder);
  // ComfyUI's files in a folder: high noise first.
  static std::vector<Path> comfy_files(const Path& folder);

  // The final latents of a run of two steps, which must succeed; empty when it does not.
  std::string latents(const std::string& variant, const Arguments& extra) const;

  // Relative path -> bytes of every file below.
  static std::map<std::string, std::string> files_of(const Path& folder);
  // Fails for each file that only one folder has or that differs; `except` are file names.
  static void expect_same_files(const Path& left, const Path& right,
                                const std::set<std::string>& except = {});
};

}  // namespace mxvideo::test
