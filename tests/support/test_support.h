// What several test binaries share.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/system/cpu_features.h"

namespace mxvideo::test {

// True when this CPU has `features`. Otherwise notes that `what` is skipped: the count is printed,
// and it is a failure when the environment's MXVIDEO_REQUIRE lists all of `features`.
bool require_cpu(CpuFeatures features, const std::string& what);
// The same for a test that mounts a file system of its own, which MXVIDEO_REQUIRE calls "mount".
bool require_mount(bool available, const std::string& what);
// False in a build with AddressSanitizer, which keeps freed memory and reserves its own: then a
// test that measures or limits the memory of a process is skipped.
bool require_plain_memory(const std::string& what);
std::vector<std::string> skipped_checks();
bool required_check_was_skipped();

// ||actual - expected|| / ||expected||, in double. 0 for two empty or all-zero ranges; infinity
// when the sizes differ or something is not finite.
double relative_rms(std::span<const float> actual, std::span<const float> expected);

// CRC-32 of zlib and PNG.
uint32_t crc32(std::span<const uint8_t> bytes);

// Runs `action`, which must throw Error, and returns it; a test failure otherwise.
Error expect_error(const std::function<void()>& action);

// Where tests keep files: in the build directory. The system's directory for temporary files may be
// another file system, to which nothing of the checkout can be linked.
std::filesystem::path scratch_directory();
// In memory where there is such a file system: thousands of synced files would take minutes.
std::filesystem::path memory_directory();

// A directory that is removed with its contents at the end of the scope.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::filesystem::path& parent = scratch_directory());
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace mxvideo::test
