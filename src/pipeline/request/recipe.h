// The whole recipe of a run as JSON: enough to make the same video again. Goes into the video's
// metadata and into the run report. Its keys are those of the table of request fields, and facts
// beside them: what the model is, and what the files of images and noise held. Pure functions.
#pragma once

#include <nlohmann/json.hpp>

#include "pipeline/request/request_fields.h"
#include "pipeline/run.h"

namespace mxvideo::pipeline {

// Model, scheme, and every parameter after defaults were filled in. What no step uses is null.
nlohmann::ordered_json recipe_json(const Engine& model, const GenerateRequest& asked,
                                   const ResolvedRequest& request);

// The form that makes the run of a recipe again. Images, and noise that was given, are not in it:
// the caller adds their files. Throws Code::kInvalidArgument for an unknown key and, as
// set_field(), for a value that a field cannot have.
RequestForm read_recipe(const nlohmann::ordered_json& recipe);

// The recipe, this machine and build, and what the run did.
nlohmann::ordered_json report_json(const Run& run);

}  // namespace mxvideo::pipeline
