// Runs a check once for every instruction set that a Highway kernel was compiled for and this CPU
// has; those that it lacks are announced as skipped. Link with a library that brings Highway.
#pragma once

#include <hwy/targets.h>

#include "support/test_support.h"

namespace mxvideo::test {

// Highway dispatches to `target` alone from now on.
inline void use_highway_target(int64_t target) {
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().Update(target);
}

inline void use_every_highway_target() {
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

// `check` receives the target's name and runs while Highway dispatches to that target only.
template <class Check>
void for_each_highway_target(const Check& check) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    use_highway_target(target);
    check(hwy::TargetName(target));
  }
  use_every_highway_target();
  if (HWY_TARGETS & HWY_AVX2) require_cpu(kCpuAvx2, "Highway target AVX2");
  if (HWY_TARGETS & HWY_AVX3) require_cpu(kCpuAvx512, "Highway target AVX3");
}

}  // namespace mxvideo::test
