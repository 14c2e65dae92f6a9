// The tables and entries of the operations that make tables of angles.
#include "base/error.h"
#include "kernels/common/launch_row.h"
#include "kernels/tables/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<RopeTablesArgs> kRopeTablesRows[] = {
    ascend_row<Row<RopeTablesArgs>>(rope_tables_ascend),
    {"portable", kCpuNone, accept_all<RopeTablesArgs>, rope_tables_portable},
    {"reference", kCpuNone, accept_all<RopeTablesArgs>, rope_tables_reference},
};
constexpr Row<TimeSinusoidArgs> kTimeSinusoidRows[] = {
    ascend_row<Row<TimeSinusoidArgs>>(time_sinusoid_ascend),
    {"reference", kCpuNone, accept_all<TimeSinusoidArgs>, time_sinusoid_reference},
};

}  // namespace

std::span<const Row<RopeTablesArgs>> rope_tables_rows() { return kRopeTablesRows; }
std::span<const Row<TimeSinusoidArgs>> time_sinusoid_rows() { return kTimeSinusoidRows; }

Tensor make_rope_table(int64_t tokens, int64_t head_dim, const Context& context) {
  if (context.device().kind() == DeviceKind::kAscend) {
    return context.activations({tokens, head_dim});
  }
  return context.tensor({tokens, head_dim / 2});
}

void rope_tables(const RopeTablesArgs& args, Context& context) {
  check(args.head_dim % 2 == 0, "rotary embedding turns pairs");
  launch_row("rope_tables", rope_tables_rows(), args, context);
}

void time_sinusoid(const TimeSinusoidArgs& args, Context& context) {
  check(args.dim % 2 == 0, "a cosine and a sine for each frequency");
  launch_row("time_sinusoid", time_sinusoid_rows(), args, context);
}

}  // namespace mxvideo::kernels
