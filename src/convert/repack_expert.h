// One expert of a model that is repacked: its tensors with what the original has to add, the checks
// before anything is written, the plan of its files, and the comparison afterwards.
// Thread-compatible; views live as long as the sources.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/modelslim.h"
#include "convert/component_plan.h"
#include "convert/layout.h"
#include "convert/model_source.h"

namespace mxvideo::convert {

using TensorMap = std::map<std::string, checkpoint::StoredTensor, std::less<>>;

struct RepackExpert {
  const TransformerSource* source = nullptr;
  const TransformerSource* original = nullptr;  // same expert; nullptr without an original model
  TensorMap tensors;                  // canonical names; without comfy_quant, weight_scalar
  std::vector<std::string> overlaid;  // those of them that came from the original

  // The config that the tensors are checked with and that is written.
  const TransformerConfig& config() const {
    return original != nullptr ? original->config : source->config;
  }
};

// Checks everything about one expert and puts its tensors together. Throws Code::kCorruptFile,
// Code::kUnsupported.
RepackExpert prepare_expert(const TransformerSource& source, const TransformerSource* original);

ComponentPlan plan_expert(const RepackExpert& expert, Layout layout,
                          checkpoint::WanVariant variant);

// Reads `weights` again and compares every tensor, bit for bit, and the description. Throws
// Code::kMismatch.
void verify_expert(const RepackExpert& expert, const std::filesystem::path& weights);

}  // namespace mxvideo::convert
