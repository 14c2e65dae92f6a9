#include "support/float_mode.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace mxvideo::test {
namespace {

#if defined(__x86_64__)

constexpr uint64_t kFlush = 0x8040;  // FTZ and DAZ
constexpr uint64_t kRoundUp = 0x4000;

uint64_t control() { return _mm_getcsr(); }
void set_control(uint64_t value) { _mm_setcsr(static_cast<unsigned>(value)); }

#elif defined(__aarch64__)

constexpr uint64_t kFlush = 1u << 24;  // FZ
constexpr uint64_t kRoundUp = 1u << 22;

uint64_t control() {
  uint64_t value;
  asm volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
void set_control(uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value)); }

#else
#error "the floating-point control register of this processor"
#endif

}  // namespace

FloatModeScope::FloatModeScope(FloatMode mode) : before_(control()) {
  if (mode == FloatMode::kDefault) return;
  set_control(before_ | kFlush | (mode == FloatMode::kFlushToZeroRoundUp ? kRoundUp : 0));
}

FloatModeScope::~FloatModeScope() { set_control(before_); }

}  // namespace mxvideo::test
