#include "audit/inspect.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "audit/part_check.h"
#include "base/error.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/wan/key_map.h"
#include "checkpoint/wan/model_family.h"
#include "quantization/quantization_config.h"

namespace mxvideo::audit {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kWeight = ".weight";
constexpr double kMxBits = 8 + 8.0 / 32;

void add(TensorTotals& totals, int64_t bytes) {
  ++totals.tensors;
  totals.bytes += bytes;
}

void list_tensors(const checkpoint::Checkpoint& files, InspectedPart& part) {
  std::map<fs::path, InspectedFile> by_file;
  auto all = files.tensors();
  all.insert(files.tensors_set_aside().begin(), files.tensors_set_aside().end());
  for (const auto& [name, tensor] : all) {
    const int64_t bytes = tensor.view.bytes();
    const fs::path& path = tensor.file->path();
    InspectedFile& file = by_file[path];
    add(file.totals, bytes);
    add(part.totals, bytes);
    add(part.dtypes[std::string(dtype_name(tensor.view.dtype))], bytes);
    part.tensors.push_back({.name = name,
                            .dtype = tensor.view.dtype,
                            .shape = tensor.view.shape,
                            .file = path.filename().string()});
  }
  for (auto& [path, file] : by_file) {
    file.path = path;
    file.file_bytes = static_cast<int64_t>(fs::file_size(path));
    part.files.push_back(std::move(file));
  }
}

double bits_in_memory(const quantization::LinearMethod& linear, bool decoded, DType stored) {
  if (quantization::quantizes(linear.scheme())) return kMxBits;
  // Decoded weights are kept as BF16.
  return decoded ? 16 : static_cast<double>(8 * dtype_size(stored));
}

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 ||
         dtype == DType::kF64;
}

// Takes the layers that do not run out of `declaration`.
std::map<std::string, checkpoint::QuantizedLayer> take_unsupported(
    checkpoint::QuantizationDeclaration& declaration) {
  std::map<std::string, checkpoint::QuantizedLayer> unsupported;
  for (const auto& [name, layer] : declaration.layers) {
    if (!layer.element) unsupported.emplace(name, layer);
  }
  for (const auto& [name, layer] : unsupported) declaration.layers.erase(name);
  return unsupported;
}

std::string declared_type(const checkpoint::QuantizedLayer& layer) {
  return layer.weight_only.empty() ? layer.type : layer.type + " (weights only)";
}

std::vector<std::string> count_kinds(
    const std::map<std::string, checkpoint::QuantizedLayer>& unsupported) {
  std::map<std::string, int64_t> kinds;
  for (const auto& [name, layer] : unsupported) ++kinds[checkpoint::unsupported_kind(layer)];
  std::vector<std::string> lines;
  for (const auto& [kind, count] : kinds) lines.push_back(std::to_string(count) + " x " + kind);
  return lines;
}

// Every matrix under a name of a layer is a linear layer; those of the blocks may be quantized.
void list_layers(const checkpoint::TransformerCheckpoint& opened, InspectedPart& part) {
  checkpoint::QuantizationDeclaration runnable = opened.quantization;
  const auto unsupported = take_unsupported(runnable);
  part.unsupported = count_kinds(unsupported);
  const auto resolved = quantization::resolve_quantization({}, runnable);
  part.notices = resolved.notices;
  const auto& tensors = opened.checkpoint.tensors();
  int64_t weights = 0, bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with(kWeight) || tensor.view.shape.rank() != 2) continue;
    const std::string layer = name.substr(0, name.size() - kWeight.size());
    const auto declared = opened.quantization.layers.find(layer);
    const bool is_declared = declared != opened.quantization.layers.end();
    const quantization::LinearShape shape{.out_features = tensor.view.shape[0],
                                          .in_features = tensor.view.shape[1],
                                          .bias = tensors.contains(layer + ".bias")};
    const bool codes = !is_declared && !is_float(tensor.view.dtype);
    if (codes) {
      part.layers.push_back({.name = layer,
                             .declared = std::string(dtype_name(tensor.view.dtype)),
                             .scheme = "unsupported",
                             .reason = "no declaration says what the codes mean",
                             .weight_bits = 0});
    } else if (const auto foreign = unsupported.find(layer); foreign != unsupported.end()) {
      part.layers.push_back({.name = layer,
                             .declared = foreign->second.type,
                             .scheme = "unsupported",
                             .reason = foreign->second.refusal,
                             .weight_bits = 0});
    } else {
      const auto linear = resolved.config->make_linear(layer, shape, layer.starts_with("blocks."));
      part.layers.push_back(
          {.name = layer,
           .declared = is_declared ? declared_type(declared->second) : "FLOAT",
           .scheme = linear->scheme(),
           .reason = linear->reason(),
           .weight_bits = bits_in_memory(*linear, is_declared, tensor.view.dtype)});
    }
    weights += tensor.view.count();
    bytes += tensor.view.bytes();
    const auto scale = tensors.find(name + "_scale");
    if (scale != tensors.end()) bytes += scale->second.view.bytes();
  }
  if (weights > 0) {
    part.stored_bits_per_weight = 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
  }
}

void describe_transformer(const checkpoint::TransformerCheckpoint& opened, InspectedPart& part) {
  const checkpoint::QuantizationDeclaration& declared = opened.quantization;
  part.naming_style =
      opened.stored_names == checkpoint::NamingStyle::kOriginal ? "original" : "diffusers";
  part.source = quantization_source_name(declared.source);
  part.origin = declared.origin;
  if (declared.quantized()) {
    part.scale_layout =
        declared.scale_layout == formats::ScaleLayout::kSwizzled ? "swizzled" : "row_major";
  }
  part.companions = declared.companions;
  part.attention = declared.attention;
  list_layers(opened, part);
}

// "blocks.7.attn1.to_q" -> "attn1.to_q".
std::string without_block(const std::string& layer) {
  if (!layer.starts_with("blocks.")) return layer;
  const size_t dot = layer.find('.', std::string_view("blocks.").size());
  return dot == std::string::npos ? layer : layer.substr(dot + 1);
}

Json totals_json(const TensorTotals& totals) {
  return {{"tensors", totals.tensors}, {"bytes", totals.bytes}};
}

Json transformer_json(const InspectedPart& part, const InspectDetail& detail) {
  Json json = {{"naming_style", part.naming_style}, {"quantization", part.source}};
  if (!part.origin.empty()) json["declared_in"] = part.origin;
  if (!part.scale_layout.empty()) json["scale_layout"] = part.scale_layout;
  json["stored_bits_per_weight"] = part.stored_bits_per_weight;
  json["companions"] = part.companions;
  json["attention"] = part.attention;
  json["unsupported"] = part.unsupported;
  json["layer_types"] = declared_by_layer(part);
  std::map<std::string, int64_t> schemes;
  for (const InspectedLayer& layer : part.layers) ++schemes[layer.scheme];
  json["effective"] = schemes;
  if (!detail.layers) return json;
  json["layers"] = Json::array();
  for (const InspectedLayer& layer : part.layers) {
    Json entry = {{"name", layer.name},
                  {"declared", layer.declared},
                  {"scheme", layer.scheme},
                  {"weight_bits", layer.weight_bits}};
    if (!layer.reason.empty()) entry["reason"] = layer.reason;
    json["layers"].push_back(std::move(entry));
  }
  return json;
}

// The tensors under Hugging Face names; what keeps them from that goes to the part's problems.
checkpoint::TransformerCheckpoint open_whatever(InspectedPart& part) {
  std::optional<checkpoint::TransformerCheckpoint> opened;
  if (collect_problem(part.problems, [&] { opened.emplace(open_part(part.part)); })) {
    return *std::move(opened);
  }
  checkpoint::TransformerCheckpoint raw{.checkpoint = open_weights(part.part),
                                        .stored_names = checkpoint::NamingStyle::kHuggingFace,
                                        .quantization = {}};
  if (part.part.kind == PartKind::kTransformer) {
    std::vector<std::string> known;  // said above
    collect_problem(known, [&] {
      raw.stored_names =
          checkpoint::normalize_names(raw.checkpoint, checkpoint::Component::kTransformer);
    });
  }
  return raw;
}

void inspect_part(InspectedPart& part) {
  std::optional<checkpoint::TransformerCheckpoint> opened;
  std::vector<std::string> unreadable;
  if (!collect_problem(unreadable, [&] { opened.emplace(open_whatever(part)); })) {
    part.readable = false;
    part.problems = unreadable;
    return;
  }
  if (const auto family = recognise_family(opened->checkpoint)) {
    part.family = family->what;
  }
  list_tensors(opened->checkpoint, part);
  const bool whole = part.problems.empty();
  if (part.part.kind == PartKind::kTransformer) {
    collect_problem(part.problems, [&] { describe_transformer(*opened, part); });
  }
  part.notices.insert(part.notices.end(), opened->checkpoint.notices().begin(),
                      opened->checkpoint.notices().end());
  // A file of a text encoder or a VAE alone does not tell all sizes.
  const bool judged = part.part.kind == PartKind::kTransformer ||
                      part.part.kind == PartKind::kUnknown || !part.part.config.is_null();
  // Layers that do not run are said by kind; a check would end with them.
  if (whole && judged && part.unsupported.empty()) {
    collect_problem(part.problems, [&] { check_part(part.part, *opened); });
  }
  std::vector<std::string>& problems = part.problems;
  problems.erase(std::unique(problems.begin(), problems.end()), problems.end());
}

// The parts of a model, or, where it is none that mxvideo runs, every folder and file of weights in
// the directory.
std::vector<ModelPart> parts_to_inspect(const fs::path& path, std::vector<std::string>& problems) {
  std::optional<Error> failure;
  try {
    return find_model_parts(path);
  } catch (const Error& error) {
    failure.emplace(error);
  }
  std::vector<ModelPart> parts;
  if (fs::is_directory(path)) parts = parts_below(path);
  if (parts.empty()) throw *failure;
  problems.emplace_back(failure->what());
  return parts;
}

}  // namespace

bool Inspection::runs() const {
  return problems.empty() && std::ranges::all_of(parts, [](const InspectedPart& part) {
           return part.problems.empty() && part.unsupported.empty();
         });
}

Inspection inspect_model(const fs::path& path) {
  Inspection inspection;
  for (ModelPart& found : parts_to_inspect(path, inspection.problems)) {
    InspectedPart& part = inspection.parts.emplace_back();
    part.part = std::move(found);
    inspect_part(part);
  }
  return inspection;
}

std::map<std::string, std::map<std::string, int64_t>> declared_by_layer(const InspectedPart& part) {
  std::map<std::string, std::map<std::string, int64_t>> counts;
  for (const InspectedLayer& layer : part.layers) {
    ++counts[without_block(layer.name)][layer.declared];
  }
  return counts;
}

Json inspect_json(const Inspection& inspection, const InspectDetail& detail) {
  Json json;
  json["runs"] = inspection.runs();
  json["problems"] = inspection.problems;
  json["components"] = Json::array();
  for (const InspectedPart& part : inspection.parts) {
    Json entry = {{"name", part.part.name},
                  {"kind", part_kind_name(part.part.kind)},
                  {"path", part.part.weights.string()},
                  {"family", part.family},
                  {"problems", part.problems},
                  {"notices", part.notices}};
    entry.update(totals_json(part.totals));
    for (const auto& [dtype, totals] : part.dtypes) entry["dtypes"][dtype] = totals_json(totals);
    entry["files"] = Json::array();
    for (const InspectedFile& file : part.files) {
      Json file_json = {{"path", file.path.string()}, {"file_bytes", file.file_bytes}};
      file_json.update(totals_json(file.totals));
      entry["files"].push_back(std::move(file_json));
    }
    const bool described = part.part.kind == PartKind::kTransformer && part.readable;
    if (described) entry.update(transformer_json(part, detail));
    if (detail.tensors) {
      entry["tensor_list"] = Json::array();
      for (const InspectedTensor& tensor : part.tensors) {
        entry["tensor_list"].push_back({{"name", tensor.name},
                                        {"dtype", dtype_name(tensor.dtype)},
                                        {"shape", tensor.shape.dims()},
                                        {"file", tensor.file}});
      }
    }
    json["components"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace mxvideo::audit
