#include "support/test_support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace mxvideo::test {
namespace {

struct SkipLog {
  std::vector<std::string> skipped;
  bool required_skipped = false;
};

SkipLog& skip_log() {
  static SkipLog log;
  return log;
}

}  // namespace

bool require_cpu(CpuFeatures features, const std::string& what) {
  if (cpu_has(cpu_features(), features)) return true;
  const std::string skip = what + " (needs " + cpu_features_to_string(features) + ")";
  std::vector<std::string>& skipped = skip_log().skipped;
  if (std::find(skipped.begin(), skipped.end(), skip) == skipped.end()) skipped.push_back(skip);
  const char* required = std::getenv("MXVIDEO_REQUIRE");
  if (required != nullptr && cpu_has(parse_cpu_features(required), features)) {
    skip_log().required_skipped = true;
  }
  return false;
}

std::vector<std::string> skipped_checks() { return skip_log().skipped; }

bool required_check_was_skipped() { return skip_log().required_skipped; }

double relative_rms(std::span<const float> actual, std::span<const float> expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double error = 0;
  double norm = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double difference = static_cast<double>(actual[i]) - expected[i];
    error += difference * difference;
    norm += static_cast<double>(expected[i]) * expected[i];
  }
  if (error == 0) return 0;
  const double ratio = std::sqrt(error / norm);
  return std::isfinite(ratio) ? ratio : std::numeric_limits<double>::infinity();
}

uint32_t crc32(std::span<const uint8_t> bytes) {
  uint32_t crc = ~0u;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

Error expect_error(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "expected an Error, got none";
  return {Code::kInternal, ""};
}

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "mxvideo-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw Error(Code::kIo, name + ": cannot create");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace mxvideo::test
