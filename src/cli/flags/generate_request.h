// From the flags of generate to what the pipeline takes: shared by generate and plan.
#pragma once

#include "audit/fit.h"
#include "cli/flags/generate_options.h"
#include "cli/progress.h"
#include "pipeline/run.h"

namespace mxvideo::cli {

pipeline::PipelineOptions pipeline_options(const GenerateOptions& options);

// Reads the prompt, the images and the latents that the flags name.
pipeline::GenerateRequest make_request(const GenerateOptions& options);

// sd-cli's --cfg-scale means the low-noise expert where there are two, as Wan's own tuple does.
void apply_cfg_scale(const GenerateOptions& options, checkpoint::WanVariant variant,
                     pipeline::GenerateRequest& request, Progress& progress);

// What the run needs. `request`, which is run.asked, is changed on the way and restored.
audit::PlanReport plan_run(const GenerateOptions& options, pipeline::Run& run,
                           pipeline::GenerateRequest& request);

// Prints what the run needs, as a table or as JSON. Throws Code::kOutOfMemory when it does not
// fit, after printing.
void print_plan(const GenerateOptions& options, pipeline::Run& run,
                pipeline::GenerateRequest& request);

}  // namespace mxvideo::cli
