// Every op's table, without its argument types: for `mxvideo doctor`, `--kernel` and tests.
#pragma once

#include <string>
#include <vector>

#include "base/system/cpu_features.h"
#include "device/device.h"

namespace mxvideo::kernels {

struct RowInfo {
  std::string name;
  CpuFeatures requires_cpu = kCpuNone;
  DeviceKind device = DeviceKind::kCpu;
};

struct OpInfo {
  std::string name;
  std::vector<RowInfo> rows;  // best first, reference last
};

// All ops, by name.
std::vector<OpInfo> registered_ops();

// Throws Code::kInvalidArgument naming the known ops or rows when there is no such row, and
// Code::kDevice when this CPU cannot run it.
void check_row_runs(const std::string& op, const std::string& row);

}  // namespace mxvideo::kernels
