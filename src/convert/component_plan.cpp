#include "convert/component_plan.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/text/quote.h"
#include "checkpoint/comfy_quant.h"

namespace mxvideo::convert {
namespace {

using checkpoint::TensorSpec;

void append_targets(const TensorTask& task, std::vector<TensorSpec>& specs) {
  if (const auto* quantized = std::get_if<QuantizedTensor>(&task)) {
    specs.push_back(quantized->weight);
    specs.push_back(quantized->scales);
    return;
  }
  std::visit(
      [&](const auto& plain) {
        if constexpr (requires { plain.target; }) specs.push_back(plain.target);
      },
      task);
}

void check_names(const ComponentPlan& component) {
  std::set<std::string> names;
  for (const OutputLayer& layer : component.layers) {
    for (const TensorSpec& spec : target_tensors(layer)) {
      if (names.insert(spec.name).second) continue;
      throw Error(Code::kCorruptFile,
                  component.component + ": two tensors become '" + printable(spec.name) + "'");
    }
  }
}

}  // namespace

std::string layer_of(const std::string& tensor) { return tensor.substr(0, tensor.rfind('.')); }

LiteralTensor comfy_marker(const std::string& original_layer, bool full_precision) {
  std::string text = checkpoint::comfy_marker_text(checkpoint::kComfyMxfp8, full_precision);
  const auto bytes = static_cast<int64_t>(text.size());
  return {.target = {.name = original_layer + std::string(checkpoint::kComfyQuantSuffix),
                     .dtype = DType::kU8,
                     .shape = {bytes}},
          .bytes = std::move(text)};
}

std::vector<TensorSpec> target_tensors(const OutputLayer& layer) {
  std::vector<TensorSpec> specs;
  for (const TensorTask& task : layer.tasks) append_targets(task, specs);
  return specs;
}

std::vector<ShardPlan> plan_shards(const ComponentPlan& component, int64_t shard_bytes) {
  check_names(component);
  const int64_t limit = component.one_file ? std::numeric_limits<int64_t>::max() : shard_bytes;
  std::vector<ShardPlan> shards;
  for (const OutputLayer& layer : component.layers) {
    const std::vector<TensorSpec> specs = target_tensors(layer);
    int64_t bytes = 0;
    for (const TensorSpec& spec : specs) bytes += spec.bytes();
    if (shards.empty() ||
        (shards.back().tensor_bytes > 0 && bytes > limit - shards.back().tensor_bytes)) {
      shards.emplace_back();
    }
    ShardPlan& shard = shards.back();
    shard.layers.push_back(&layer);
    shard.tensors.insert(shard.tensors.end(), specs.begin(), specs.end());
    shard.tensor_bytes += bytes;
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shards.size() == 1 ? component.stem + ".safetensors"
                                                : fmt::format("{}-{:05}-of-{:05}.safetensors",
                                                              component.stem, i + 1, shards.size());
    shards[i].file = component.folder / name;
    shards[i].file_bytes =
        checkpoint::safetensors_file_bytes(shards[i].tensors, component.metadata);
  }
  return shards;
}

std::string shard_index_text(const std::vector<ShardPlan>& shards) {
  if (shards.size() < 2) return "";
  int64_t total = 0;
  std::map<std::string, std::string> weight_map;
  for (const ShardPlan& shard : shards) {
    total += shard.tensor_bytes;
    for (const TensorSpec& spec : shard.tensors) {
      weight_map[spec.name] = shard.file.filename().string();
    }
  }
  nlohmann::ordered_json index;
  index["metadata"]["total_size"] = total;
  index["weight_map"] = weight_map;
  return index.dump(2) + "\n";
}

std::filesystem::path shard_index_file(const ComponentPlan& component) {
  return component.folder / (component.stem + ".safetensors.index.json");
}

}  // namespace mxvideo::convert
