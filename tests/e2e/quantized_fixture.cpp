#include "e2e/quantized_fixture.h"

#include <algorithm>
#include <map>

namespace mxvideo::test {

namespace fs = std::filesystem;

fs::path QuantizedTest::raw_export(const std::string& variant, const Arguments& options) {
  return cached_export("modelslim", variant, options);
}

fs::path QuantizedTest::sglang_export(const std::string& variant, const Arguments& options) {
  return cached_export("sglang", variant, options);
}

fs::path QuantizedTest::comfy_export(const std::string& variant, const Arguments& options) {
  return cached_export("comfy", variant, options);
}

fs::path QuantizedTest::config_export(const std::string& variant, const Arguments& options) {
  return cached_export("config", variant, options);
}

fs::path QuantizedTest::target() const {
  for (int i = 0;; ++i) {
    fs::path path = scratch() / ("out" + std::to_string(i));
    if (!fs::exists(path)) return path;
  }
}

fs::path QuantizedTest::copy_of(const fs::path& source) const {
  for (int i = 0;; ++i) {
    fs::path target = scratch() / ("copy" + std::to_string(i));
    if (fs::exists(target)) continue;
    fs::copy(source, target, fs::copy_options::recursive);
    return target;
  }
}

Arguments QuantizedTest::from_raw(const fs::path& raw) {
  if (!fs::exists(raw / "high_noise_model")) return {"--transformer-path", raw};
  return {"--transformer-path", raw / "high_noise_model", "--transformer-2-path",
          raw / "low_noise_model"};
}

std::vector<fs::path> QuantizedTest::comfy_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());  // "high" before "low"
  return files;
}

Arguments QuantizedTest::from_comfy(const fs::path& folder) {
  const std::vector<fs::path> files = comfy_files(folder);
  Arguments arguments = {"--transformer-weights-path", files.at(0)};
  if (files.size() > 1) {
    arguments.insert(arguments.end(), {"--transformer-2-weights-path", files.at(1)});
  }
  return arguments;
}

std::string QuantizedTest::latents(const std::string& variant, const Arguments& extra) const {
  const fs::path file = scratch() / "latents.safetensors";
  fs::remove(file);
  Arguments arguments = extra;
  arguments.insert(arguments.end(), {"--output", "-", "--save-latents", file});
  if (variant == "i2v-a14b") arguments.insert(arguments.end(), {"--image-path", picture()});
  const ProcessResult result = run(generate(variant, arguments));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.exit_code == 0 ? TensorFile::read(file).at("latents").bytes : "";
}

std::map<std::string, std::string> QuantizedTest::files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) continue;
    files.emplace(entry.path().lexically_relative(folder), read_text(entry.path()));
  }
  return files;
}

void QuantizedTest::expect_same_files(const fs::path& left, const fs::path& right,
                                      const std::set<std::string>& except) {
  const auto mine = files_of(left), theirs = files_of(right);
  std::set<std::string> names;
  for (const auto* files : {&mine, &theirs}) {
    for (const auto& [name, bytes] : *files) names.insert(name);
  }
  for (const std::string& name : names) {
    if (except.contains(fs::path(name).filename())) continue;
    ASSERT_TRUE(mine.contains(name)) << name << " only in " << right;
    ASSERT_TRUE(theirs.contains(name)) << name << " only in " << left;
    EXPECT_TRUE(mine.at(name) == theirs.at(name)) << name << " differs";
  }
}

}  // namespace mxvideo::test
