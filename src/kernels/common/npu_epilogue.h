// common/epilogue.h by CANN's operators.
#pragma once

#include <vector>

#include "kernels/common/epilogue.h"
#include "kernels/common/npu.h"
#include "kernels/common/row_runs.h"

namespace mxvideo::kernels {

// The runs among `rows` rows of a call, which begin with its first row.
std::vector<RowRun> runs_of_call(const RowRuns& all, int64_t rows);

// Rows [first, first + count) of a matrix.
AclView npu_row_range(const AclView& matrix, int64_t first, int64_t count);

// Why the NPU has no such epilogue; null when it has.
const char* npu_rejects(const EpilogueArgs& epilogue) noexcept;

// The type in which a product leaves the matrix unit before the epilogue: fp32 where it is added to
// the residual, else that of the result.
AclType product_type(const EpilogueArgs& epilogue, const AclView& y);

// y = epilogue of `value` [m, n], which has its bias already.
void npu_epilogue(const Npu& npu, const EpilogueArgs& epilogue, const AclView& value,
                  const AclView& y);

}  // namespace mxvideo::kernels
