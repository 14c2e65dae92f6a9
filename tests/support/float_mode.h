// Sets how the calling thread's floating-point unit treats subnormals and rounds, for tests of code
// that must not depend on it.
#pragma once

#include <cstdint>

namespace mxvideo::test {

enum class FloatMode { kDefault, kFlushToZero, kFlushToZeroRoundUp };

// In force while it lives; then what was before.
class FloatModeScope {
 public:
  explicit FloatModeScope(FloatMode mode);
  ~FloatModeScope();
  FloatModeScope(const FloatModeScope&) = delete;
  FloatModeScope& operator=(const FloatModeScope&) = delete;

 private:
  uint64_t before_;
};

}  // namespace mxvideo::test
