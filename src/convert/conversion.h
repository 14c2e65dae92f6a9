// The part that quantize and repack share: from plans of the transformers and a list of other files
// to a directory that appears whole or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "convert/component_plan.h"
#include "convert/layout.h"
#include "convert/model_source.h"
#include "convert/output/output_directory.h"
#include "convert/quantization/quantization_report.h"

namespace mxvideo::convert {

inline constexpr int64_t kDefaultShardBytes = int64_t{10} * 1000 * 1000 * 1000;

struct OutputOptions {
  std::filesystem::path path;
  Layout layout = Layout::kDiffusers;
  std::optional<int64_t> shard_bytes;  // kDefaultShardBytes when absent; none for kComfy
  bool copy = false;                   // copy the weights of the rest too instead of linking them
  bool overwrite = false;
  bool discard_partial = false;
  bool dry_run = false;
};

// A file of the model that is taken over as it is. Weights may be hard links to it; everything else
// is copied, so that nobody who edits the output edits the source.
struct RestFile {
  std::filesystem::path relative;
  std::filesystem::path source;  // canonical
  int64_t bytes = 0;
  bool weights = false;

  bool copied(bool copy_weights) const { return copy_weights || !weights; }
};

struct ConversionPlan {
  std::string command;  // "quantize", "repack"
  checkpoint::WanVariant variant = checkpoint::WanVariant::kT2V;
  std::vector<ComponentPlan> components;
  std::vector<RestFile> rest;
  std::vector<std::filesystem::path> inputs;  // files and directories that are read
  std::string options;                        // what else makes the job: part of its identity
};

// Files of a Diffusers directory other than those of its transformers, complete.json and hidden
// folders. Throws Code::kUnsupported for links that lead out of the model.
std::vector<RestFile> rest_of_model(const std::filesystem::path& root);

// Looks at the weights of a written component where they lie before commit.
using Inspect =
    std::function<void(const ComponentPlan& component, const std::filesystem::path& weights)>;

struct ConversionResult {
  nlohmann::ordered_json summary;                           // command, layout, model_type, files…
  std::map<std::string, std::vector<LayerReport>> reports;  // by component
};

struct ConversionHooks {
  ConvertHooks general;
  // Called when all components are written and nothing is committed; may throw.
  std::function<void(const ConversionResult& result)> accept;
  // Called for each component after that; may throw.
  Inspect verify;
};

// With `dry_run` nothing is written and `reports` is empty.
ConversionResult run_conversion(const ConversionPlan& plan, const OutputOptions& options,
                                const ConversionHooks& hooks);

}  // namespace mxvideo::convert
