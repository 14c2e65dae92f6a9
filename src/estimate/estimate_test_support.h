// Calls that do nothing, and count their samples, for tests.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "estimate/work_log.h"

namespace mxvideo::estimate {

// `flops` of an op "product" in a shape; `sampled` counts its samples.
inline CallGroup products(const std::string& shape, double flops, int* sampled = nullptr) {
  CallGroup group = {.op = "product", .row = "fast", .calls = 1};
  group.work = {.flops = flops, .bytes = 1};
  group.kind = {.work = group.work,
                .shape = shape,
                .sample_work = {.flops = 8, .bytes = 1},
                .sample = [sampled](Device&) -> kernels::SampleCall {
                  if (sampled != nullptr) ++*sampled;
                  return [](kernels::Context&) {};
                }};
  return group;
}

inline std::vector<PhaseWork> phases_of(
    std::initializer_list<std::pair<const char*, CallGroup>> work) {
  WorkLog log;
  for (const auto& [phase, group] : work) log.add(phase, group);
  return log.phases();
}

}  // namespace mxvideo::estimate
