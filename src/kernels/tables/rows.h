// The implementations behind the tables of this folder; each does a whole call, on all threads.
#pragma once

#include "kernels/tables/rope_tables.h"
#include "kernels/tables/time_sinusoid.h"

namespace mxvideo::kernels {

void rope_tables_portable(const RopeTablesArgs& args) noexcept;
void rope_tables_reference(const RopeTablesArgs& args) noexcept;
void time_sinusoid_reference(const TimeSinusoidArgs& args) noexcept;

// By CANN, on an Ascend NPU.
void rope_tables_ascend(const RopeTablesArgs& args, std::byte* workspace, Context& context);
void time_sinusoid_ascend(const TimeSinusoidArgs& args, std::byte* workspace, Context& context);

}  // namespace mxvideo::kernels
