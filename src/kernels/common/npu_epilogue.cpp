#include "kernels/common/npu_epilogue.h"

#include <algorithm>
#include <array>

namespace mxvideo::kernels {

std::vector<RowRun> runs_of_call(const RowRuns& all, int64_t rows) {
  if (all.count == 0) return {{.first = 0, .count = rows, .vector = 0}};
  std::vector<RowRun> found;
  for (int64_t i = 0; i < all.count; ++i) {
    const RowRun& run = all.runs[i];
    const int64_t begin = std::max(run.first, all.first) - all.first;
    const int64_t end = std::min(run.first + run.count - all.first, rows);
    if (begin < end) found.push_back({.first = begin, .count = end - begin, .vector = run.vector});
  }
  return found;
}

AclView npu_row_range(const AclView& matrix, int64_t first, int64_t count) {
  AclView range = matrix;
  range.data =
      static_cast<std::byte*>(matrix.data) + first * matrix.strides[0] * type_size(matrix.type);
  range.dims[0] = count;
  return range;
}

const char* npu_rejects(const EpilogueArgs& epilogue) noexcept {
  const bool unknown_rows = epilogue.gate_row != nullptr && epilogue.gate_runs.count == 0;
  return unknown_rows ? "the NPU takes gates of several vectors by runs of rows" : nullptr;
}

AclType product_type(const EpilogueArgs& epilogue, const AclView& y) {
  return epilogue.kind == Epilogue::kGatedResidual ? AclType::kFloat : y.type;
}

void npu_epilogue(const Npu& npu, const EpilogueArgs& epilogue, const AclView& value,
                  const AclView& y) {
  const int64_t m = y.dims[0], n = y.dims[1];
  switch (epilogue.kind) {
    case Epilogue::kNone:
      if (value.data != y.data) npu.copy(value, y);
      return;
    case Epilogue::kGeluTanh:
      npu.run(npu.cann().GeluV2, in(value), 1, out(y));
      return;
    case Epilogue::kGatedResidual:
      break;
  }
  const int64_t stride = epilogue.residual_stride != 0 ? epilogue.residual_stride : y.strides[0];
  const AclView residual = npu_rows(epilogue.residual, m, n, stride);
  if (epilogue.gate == nullptr) {
    npu.add(residual, value, y);
    return;
  }
  for (const RowRun& run : runs_of_call(epilogue.gate_runs, m)) {
    const AclView gate = npu_view(epilogue.gate.from(run.vector * epilogue.gate_stride), {1, n});
    npu.run(npu.cann().Addcmul, in(npu_row_range(residual, run.first, run.count)),
            in(npu_row_range(value, run.first, run.count)), in(gate), scalar(1),
            out(npu_row_range(y, run.first, run.count)));
  }
}

}  // namespace mxvideo::kernels
