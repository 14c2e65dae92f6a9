#include "e2e/cli_fixture.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "media/image/image_writer.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

// What a run may say before it fails: the request it understood, its time, its notes.
bool is_information(const std::string& line) {
  for (const char* prefix :
       {"T2V ", "I2V ", "TI2V ", "about ", "how long it takes ", "note: ", "--cfg-scale "}) {
    if (line.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace

fs::path tiny_model(const std::string& variant) {
  return fs::path(MXVIDEO_GOLDEN_DIR) / "models" / variant;
}

std::string read_text(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::runtime_error(path.string() + ": cannot open");
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream << text;
  if (!stream.flush()) throw std::runtime_error(path.string() + ": cannot write");
}

nlohmann::json read_json(const fs::path& path) { return nlohmann::json::parse(read_text(path)); }

CliTest::CliTest() : work_(scratch_.path() / "work") { fs::create_directory(work_); }

std::vector<std::string> CliTest::outputs() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(work_)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

ProcessOptions CliTest::command(Arguments arguments) const {
  return {.program = MXVIDEO_BINARY,
          .arguments = std::move(arguments),
          .directory = work_,
          .environment = {{"HOME", scratch().string()}, {"OMP_WAIT_POLICY", "passive"}}};
}

ProcessResult CliTest::run(Arguments arguments) const {
  ProcessResult result = run_process(command(std::move(arguments)));
  for (const std::string* said : {&result.out, &result.err}) {
    EXPECT_EQ(said->find("\uFDD0"), std::string::npos) << "a field is not spelled: " << *said;
  }
  return result;
}

Arguments CliTest::generate(const std::string& variant, const Arguments& extra) {
  const char* size = variant == "ti2v-5b" ? "64x64" : "32x32";
  const auto given = [&](const char* flag) {
    return std::find(extra.begin(), extra.end(), flag) != extra.end();
  };
  Arguments arguments = {"generate"};
  const auto add_default = [&](const char* flag, const std::string& value) {
    if (!given(flag)) arguments.insert(arguments.end(), {flag, value});
  };
  add_default("--model-path", tiny_model(variant).string());
  add_default("--prompt", "a red fox in fresh snow");
  if (!given("--width")) add_default("--size", size);
  add_default("--num-frames", "5");
  add_default("--num-inference-steps", "2");
  add_default("--seed", "7");
  add_default("--threads", "2");
  add_default("--progress", "none");
  arguments.insert(arguments.end(), extra.begin(), extra.end());
  return arguments;
}

void CliTest::expect_failure(const ProcessResult& result, int code,
                             const std::string& fragment) const {
  EXPECT_EQ(result.signal, 0);
  EXPECT_EQ(result.exit_code, code) << result.err;
  EXPECT_EQ(result.out, "");
  const std::vector<std::string> said = lines(result.err);
  ASSERT_FALSE(said.empty());
  EXPECT_TRUE(said.back().starts_with("mxvideo: ")) << result.err;
  EXPECT_NE(said.back().find(fragment), std::string::npos)
      << "expected '" << fragment << "' in: " << result.err;
  EXPECT_TRUE(std::all_of(said.begin(), said.end() - 1, is_information)) << result.err;
  EXPECT_EQ(outputs(), std::vector<std::string>());
}

void CliTest::expect_success(const ProcessResult& result) {
  EXPECT_EQ(result.signal, 0);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err.find("mxvideo: "), std::string::npos) << result.err;
}

fs::path CliTest::picture() const {
  constexpr int64_t kHeight = 48, kWidth = 64;
  media::RgbImage image{.size = {.height = kHeight, .width = kWidth}, .pixels = {}};
  for (int64_t i = 0; i < kHeight * kWidth * 3; ++i) {
    image.pixels.push_back(static_cast<uint8_t>(i * 37 / 11));
  }
  fs::path path = scratch() / "picture.png";
  media::write_png(path, image);
  return path;
}

}  // namespace mxvideo::test
