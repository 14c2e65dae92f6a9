// The tables and entries of the operations that make tables of angles.
#include "base/error.h"
#include "kernels/common/launch_row.h"
#include "kernels/tables/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<RopeTablesArgs> kRopeTablesRows[] = {
    {"portable", kCpuNone, accept_all<RopeTablesArgs>, rope_tables_portable},
    {"reference", kCpuNone, accept_all<RopeTablesArgs>, rope_tables_reference},
};
constexpr Row<TimeSinusoidArgs> kTimeSinusoidRows[] = {
    {"reference", kCpuNone, accept_all<TimeSinusoidArgs>, time_sinusoid_reference},
};

}  // namespace

std::span<const Row<RopeTablesArgs>> rope_tables_rows() { return kRopeTablesRows; }
std::span<const Row<TimeSinusoidArgs>> time_sinusoid_rows() { return kTimeSinusoidRows; }

void rope_tables(const RopeTablesArgs& args, Context& context) {
  check(args.head_dim % 2 == 0, "rotary embedding turns pairs");
  launch_row("rope_tables", rope_tables_rows(), args, context);
}

void time_sinusoid(const TimeSinusoidArgs& args, Context& context) {
  check(args.dim % 2 == 0, "a cosine and a sine for each frequency");
  launch_row("time_sinusoid", time_sinusoid_rows(), args, context);
}

}  // namespace mxvideo::kernels
