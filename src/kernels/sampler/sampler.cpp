// The tables and entries of the operations between two forward passes.
#include "kernels/common/launch_row.h"
#include "kernels/sampler/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr Row<NonFiniteArgs> kNonFiniteRows[] = {
    ascend_row<Row<NonFiniteArgs>>(non_finite_ascend),
    {"reference", kCpuNone, accept_all<NonFiniteArgs>, non_finite_reference},
};
constexpr Row<GuidanceArgs> kGuidanceRows[] = {
    ascend_row<Row<GuidanceArgs>>(guidance_ascend),
    {"reference", kCpuNone, accept_all<GuidanceArgs>, guidance_reference},
};
constexpr Row<UniPcStepArgs> kUniPcStepRows[] = {
    ascend_row<Row<UniPcStepArgs>>(unipc_step_ascend),
    {"reference", kCpuNone, accept_all<UniPcStepArgs>, unipc_step_reference},
};

}  // namespace

std::span<const Row<NonFiniteArgs>> non_finite_rows() { return kNonFiniteRows; }
std::span<const Row<GuidanceArgs>> guidance_rows() { return kGuidanceRows; }
std::span<const Row<UniPcStepArgs>> unipc_step_rows() { return kUniPcStepRows; }

void non_finite(const NonFiniteArgs& args, Context& context) {
  launch_row("non_finite", non_finite_rows(), args, context);
}

void guidance(const GuidanceArgs& args, Context& context) {
  launch_row("guidance", guidance_rows(), args, context);
}

void unipc_step(const UniPcStepArgs& args, Context& context) {
  launch_row("unipc_step", unipc_step_rows(), args, context);
}

}  // namespace mxvideo::kernels
