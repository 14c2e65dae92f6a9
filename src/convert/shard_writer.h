// Writes the shards of one transformer: reads, quantizes and writes at the same time, in memory of
// a few chunks of rows whatever the model. One thread calls; others work inside.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "convert/component_plan.h"
#include "convert/layout.h"
#include "convert/output/output_directory.h"
#include "convert/quantization/quantization_report.h"

namespace mxvideo::convert {

// Writes the shards that an earlier run of the same job did not finish, then the index, then the
// texts. The reports of all quantized layers, in the order of the plan: those of a shard that is
// reused come from its note. Throws Code::kCorruptFile naming tensor and row for NaN or infinity,
// Code::kIo, Code::kCancelled.
std::vector<LayerReport> write_component(const ComponentPlan& component,
                                         const std::vector<ShardPlan>& shards,
                                         OutputDirectory& output, const ConvertHooks& hooks);

}  // namespace mxvideo::convert
