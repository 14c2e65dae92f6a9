// A transformer from a directory under a scheme, as the pipeline loads it.
#pragma once

#include <memory>
#include <string>

#include "bench/model/model_directory.h"
#include "checkpoint/parameter_loader.h"
#include "models/wan_transformer/wan_transformer.h"

namespace mxvideo::bench {

struct LoadedTransformer {
  std::unique_ptr<models::WanTransformer> model;
  checkpoint::LoadReport report;
};

// Throws Code::kInvalidArgument for an unknown scheme, and what reading a checkpoint throws.
LoadedTransformer load_transformer(const ModelDirectory& directory, const std::string& scheme);

}  // namespace mxvideo::bench
