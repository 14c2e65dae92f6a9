// What the files of one transformer will hold: a list of layers, each a few tensors that are
// copied, relaid or quantized while they are written, and the shards that they go into. Plain data;
// views live as long as the sources that they came from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors_writer.h"
#include "formats/mx_block.h"
#include "formats/scale_layout.h"

namespace mxvideo::convert {

// The bytes of `source` under another name.
struct CopiedTensor {
  checkpoint::TensorSpec target;
  checkpoint::StoredTensor source;
};

// The same block scales in another order.
struct RelaidScales {
  checkpoint::TensorSpec target;
  checkpoint::StoredTensor source;
  formats::ScaleGrid grid;
  formats::ScaleLayout from = formats::ScaleLayout::kRowMajor;
  formats::ScaleLayout to = formats::ScaleLayout::kRowMajor;
};

// F32 values of a tensor of another float type.
struct WidenedTensor {
  checkpoint::TensorSpec target;
  checkpoint::StoredTensor source;
};

// Bytes that are known beforehand.
struct LiteralTensor {
  checkpoint::TensorSpec target;
  std::string bytes;
};

// A float weight that becomes MXFP8 or MXINT8, as ComponentPlan::mx says.
struct QuantizedTensor {
  std::string layer;  // canonical
  checkpoint::TensorSpec weight;
  checkpoint::TensorSpec scales;
  checkpoint::StoredTensor source;
  formats::ScaleLayout to = formats::ScaleLayout::kRowMajor;
};

using TensorTask =
    std::variant<CopiedTensor, RelaidScales, WidenedTensor, LiteralTensor, QuantizedTensor>;

// Tensors that stay in one shard.
struct OutputLayer {
  std::string name;  // canonical: what its tensors' names have in common
  std::vector<TensorTask> tasks;
};

struct ComponentPlan {
  std::string component;
  std::filesystem::path folder;  // relative to the output
  std::string stem;
  bool one_file = false;
  formats::MxOptions mx;  // of quantized tensors
  std::map<std::string, std::string> metadata;
  std::vector<OutputLayer> layers;
  std::map<std::string, std::string> texts;  // small files of the folder: name -> content
};

struct ShardPlan {
  std::filesystem::path file;  // relative to the output
  std::vector<const OutputLayer*> layers;
  std::vector<checkpoint::TensorSpec> tensors;
  int64_t tensor_bytes = 0;
  int64_t file_bytes = 0;
};

// "blocks.0.attn1.to_q" of "blocks.0.attn1.to_q.weight"; the whole name when it has no dot.
std::string layer_of(const std::string& tensor);

// The tensor that marks a layer of an original name as MXFP8 for ComfyUI, with activations that are
// not quantized where `full_precision`.
LiteralTensor comfy_marker(const std::string& original_layer, bool full_precision = false);

std::vector<checkpoint::TensorSpec> target_tensors(const OutputLayer& layer);

// Layers in their order, a new shard whenever the next one would not fit into `shard_bytes`; a
// layer that is larger gets a shard of its own. Named as Hugging Face names shards. Throws
// Code::kCorruptFile when two tensors get the same name.
std::vector<ShardPlan> plan_shards(const ComponentPlan& component, int64_t shard_bytes);

// The text of <stem>.safetensors.index.json; empty for a single shard.
std::string shard_index_text(const std::vector<ShardPlan>& shards);
std::filesystem::path shard_index_file(const ComponentPlan& component);

}  // namespace mxvideo::convert
