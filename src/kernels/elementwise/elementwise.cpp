#include "kernels/elementwise/elementwise.h"

#include "base/parallel.h"
#include "kernels/elementwise/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<ElementwiseArgs> kRows[] = {
    ascend_row<Row<ElementwiseArgs>>(elementwise_ascend),
    {"highway", kCpuNone, accept_all<ElementwiseArgs>, elementwise_highway},
    {"reference", kCpuNone, accept_all<ElementwiseArgs>, elementwise_reference},
};

// Elements of the smallest share of a thread: 16 KB, so that waking a thread pays.
constexpr int64_t kGrain = 4096;

}  // namespace

std::span<const Row<ElementwiseArgs>> elementwise_rows() { return kRows; }

void elementwise(const ElementwiseArgs& args, Context& context) {
  const Row<ElementwiseArgs>& row = select("elementwise", elementwise_rows(), args, context);
  if (launched_by(row, args, context)) return;
  context.launch([args, &row] {
    parallel_for(args.count, kGrain, [&](int64_t begin, int64_t end) {
      ElementwiseArgs slice = args;
      slice.x += begin;
      if (slice.z != nullptr) slice.z += begin;
      slice.y += begin;
      slice.count = end - begin;
      row.run(slice);
    });
  });
}

}  // namespace mxvideo::kernels
