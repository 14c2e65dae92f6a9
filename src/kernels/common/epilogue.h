// What a matrix product does to its accumulators before they are stored; shared by every GEMM op so
// that an epilogue means the same for each weight format. Pure functions.
//
//   value = accumulator + bias[column]
//   kNone:          y = value
//   kGeluTanh:      y = gelu_tanh(value)
//   kGatedResidual: y = residual[row][column] + gate[gate_row[row]][column] · value
#pragma once

#include <cstdint>

#include "kernels/common/row_runs.h"
#include "tensor/device_ptr.h"

namespace mxvideo::kernels {

enum class Epilogue : uint8_t {
  kNone,
  kGeluTanh,       // gelu, tanh approximation
  kGatedResidual,  // residual + gate · value; residual may be the output itself
};

struct EpilogueArgs {
  Epilogue kind = Epilogue::kNone;
  DevicePtr<const float> bias = nullptr;      // [n] or null
  DevicePtr<const float> residual = nullptr;  // [m, n], kGatedResidual only
  DevicePtr<const float> gate = nullptr;  // [gate_rows, n], row stride gate_stride; null means 1
  int64_t gate_stride = 0;                // floats between rows of `gate`
  DevicePtr<const int32_t> gate_row =
      nullptr;                  // [m]: row of `gate` for each row of y; null means row 0
  RowRuns gate_runs = {};       // the same, where rows differ
  int64_t residual_stride = 0;  // floats between rows of `residual`; 0: as those of y
};

// That of the outputs from (row, column) on, as a problem of its own.
EpilogueArgs epilogue_at(const EpilogueArgs& args, int64_t row, int64_t column) noexcept;

// The definition, in double; the caller rounds once to float.
double epilogue_value(const EpilogueArgs& args, int64_t row, int64_t column,
                      double accumulator) noexcept;

// A rectangle of y: `rows` x `columns` from (row, column) on.
struct EpiloguePiece {
  int64_t row = 0;
  int64_t column = 0;
  int64_t rows = 1;
  int64_t columns = 0;
  const float* accumulators = nullptr;  // of the first output, as y; both may be the same
  int64_t accumulator_stride = 0;       // floats between rows
  float* y = nullptr;
  int64_t y_stride = 0;
};

// fp32, vectorised. Error against epilogue_value of the same accumulator: one rounding for each
// addition (gated residual: a fused multiply-add where the CPU has it), and for kGeluTanh the bound
// of activation-inl.h.
void apply_epilogue(const EpilogueArgs& args, const EpiloguePiece& piece) noexcept;

}  // namespace mxvideo::kernels
