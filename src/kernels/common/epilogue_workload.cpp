#include "kernels/common/epilogue_workload.h"

namespace mxvideo::kernels {

std::string epilogue_name(const EpilogueArgs& args) {
  switch (args.kind) {
    case Epilogue::kNone:
      return "";
    case Epilogue::kGeluTanh:
      return " gelu";
    case Epilogue::kGatedResidual:
      return " gated";
  }
  return "";
}

double epilogue_bytes(const EpilogueArgs& args, int64_t m, int64_t n) {
  const auto row = 4 * static_cast<double>(n);
  double bytes = args.bias != nullptr ? row : 0;
  if (args.kind != Epilogue::kGatedResidual) return bytes;
  bytes += static_cast<double>(m) * row;
  return args.gate != nullptr ? bytes + row : bytes;
}

EpilogueArgs sample_epilogue(const EpilogueArgs& args, int64_t m, int64_t n, SampleMemory& memory) {
  return {.kind = args.kind,
          .bias = memory.floats_like(args.bias, n),
          .residual = memory.floats_like(args.residual, m * n),
          .gate = memory.floats_like(args.gate, n),
          .gate_row = memory.indices_like(args.gate_row, m)};
}

}  // namespace mxvideo::kernels
