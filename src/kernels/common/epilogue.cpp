#include "kernels/common/epilogue.h"

#include "kernels/common/activation.h"

namespace mxvideo::kernels {

EpilogueArgs epilogue_at(const EpilogueArgs& args, int64_t row, int64_t column) noexcept {
  EpilogueArgs part = args;
  if (part.bias != nullptr) part.bias += column;
  if (part.residual != nullptr) part.residual += row * args.residual_stride + column;
  if (part.gate != nullptr) part.gate += column;
  if (part.gate_row != nullptr) part.gate_row += row;
  return part;
}

double epilogue_value(const EpilogueArgs& args, int64_t row, int64_t column,
                      double accumulator) noexcept {
  const double value = args.bias == nullptr ? accumulator : accumulator + args.bias[column];
  switch (args.kind) {
    case Epilogue::kNone:
      return value;
    case Epilogue::kGeluTanh:
      return gelu_tanh_value(value);
    case Epilogue::kGatedResidual:
      break;
  }
  const int64_t gate_row = args.gate_row == nullptr ? 0 : args.gate_row[row];
  const double gate = args.gate == nullptr ? 1.0 : args.gate[gate_row * args.gate_stride + column];
  return args.residual[row * args.residual_stride + column] + gate * value;
}

}  // namespace mxvideo::kernels
