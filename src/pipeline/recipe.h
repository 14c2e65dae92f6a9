// The whole recipe of a run as JSON: enough to make the same video again. Goes into the video's
// metadata and into the run report. Pure functions.
#pragma once

#include <nlohmann/json.hpp>

#include "pipeline/wan_pipeline.h"

namespace mxvideo::pipeline {

// Model, scheme, and every parameter after defaults were filled in.
nlohmann::ordered_json recipe_json(const WanPipeline& model, const GenerateRequest& asked,
                                   const ResolvedRequest& request);

// The recipe, this machine and build, and what the run did.
nlohmann::ordered_json report_json(const WanPipeline& model, const GenerateRequest& asked,
                                   const GenerateResult& result);

}  // namespace mxvideo::pipeline
