#include "support/test_support.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <sstream>

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

void note_skip(const std::string& skip, bool is_required) {
  std::vector<std::string>& skipped = skip_log().skipped;
  if (std::find(skipped.begin(), skipped.end(), skip) == skipped.end()) skipped.push_back(skip);
  if (is_required) skip_log().required_skipped = true;
}

// What MXVIDEO_REQUIRE lists.
struct Required {
  CpuFeatures cpu = kCpuNone;
  bool mount = false;
};

Required required_of_machine() {
  const char* text = std::getenv("MXVIDEO_REQUIRE");
  std::istringstream stream(text == nullptr ? "" : text);
  Required required;
  for (std::string name; std::getline(stream, name, ',');) {
    if (name == "mount") {
      required.mount = true;
    } else {
      required.cpu |= parse_cpu_features(name);
    }
  }
  return required;
}

}  // namespace

bool require_cpu(CpuFeatures features, const std::string& what) {
  if (cpu_has(cpu_features(), features)) return true;
  note_skip(what + " (needs " + cpu_features_to_string(features) + ")",
            cpu_has(required_of_machine().cpu, features));
  return false;
}

bool require_mount(bool available, const std::string& what) {
  if (!available) note_skip(what + " (needs mount)", required_of_machine().mount);
  return available;
}

bool require_plain_memory(const std::string& what) {
#if defined(__SANITIZE_ADDRESS__)
  constexpr bool kPlain = false;
#elif defined(__has_feature)
  constexpr bool kPlain = !__has_feature(address_sanitizer);
#else
  constexpr bool kPlain = true;
#endif
  if (!kPlain) note_skip(what + " (needs a build without AddressSanitizer)", false);
  return kPlain;
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

std::filesystem::path scratch_directory() {
  const std::filesystem::path directory = MXVIDEO_SCRATCH_DIR;
  std::filesystem::create_directories(directory);
  return std::filesystem::canonical(directory);
}

std::filesystem::path memory_directory() {
  if (::access("/dev/shm", W_OK) != 0) return scratch_directory();
  return std::filesystem::canonical("/dev/shm");
}

TemporaryDirectory::TemporaryDirectory(const std::filesystem::path& parent) {
  std::string name = (parent / "mxvideo-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw Error(Code::kIo, name + ": cannot create");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace mxvideo::test
