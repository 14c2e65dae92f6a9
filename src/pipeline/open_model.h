// Which files a run reads: a model's directory with what the options put in the place of its
// transformers. Thread-safe: no state.
#pragma once

#include "checkpoint/checkpoint.h"
#include "checkpoint/wan/model_index.h"

namespace mxvideo::pipeline {

struct PipelineOptions;

// Opens options.model_directory, in which the folders of replaced transformers need not be. The
// paths of the options may be anything that checkpoint::find_expert() takes; they become what is
// read: component_paths directories, weights_paths directories or files. Throws Code::kNotFound,
// Code::kInvalidArgument for a component that the model has not and for an expert whose name says
// that it is the other one, and what open_model_directory() throws.
checkpoint::ModelDirectory open_model(PipelineOptions& options);

// Throws Code::kInvalidArgument when both experts are one and the same, Code::kMismatch when one
// that the options name holds the tensors of the model's other expert, where the model has both.
void check_experts(const PipelineOptions& options, const checkpoint::Checkpoint& high_noise,
                   const checkpoint::Checkpoint& low_noise);

}  // namespace mxvideo::pipeline
