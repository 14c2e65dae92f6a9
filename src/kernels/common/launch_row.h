// For ops whose rows do a whole call: selects one and launches it.
#pragma once

#include "kernels/common/kernel_table.h"

namespace mxvideo::kernels {

template <class Args>
void launch_row(const char* op, std::span<const Row<Args>> rows, const Args& args,
                Context& context) {
  const Row<Args>& row = select(op, rows, args, context);
  if (launched_by(row, args, context)) return;
  context.launch([args, &row] { row.run(args); });
}

}  // namespace mxvideo::kernels
