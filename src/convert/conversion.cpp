#include "convert/conversion.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "base/error.h"
#include "base/text/field.h"
#include "base/text/format.h"
#include "base/text/quote.h"
#include "base/version.h"
#include "checkpoint/containment.h"
#include "convert/shard_writer.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kMaxFolderDepth = 8;

constexpr std::array<std::string_view, 6> kWeightExtensions = {".safetensors", ".gguf", ".bin",
                                                               ".pth",         ".pt",   ".ckpt"};

bool belongs_to_rest(const fs::path& relative) {
  const std::string top = relative.begin()->string();
  return top != kHighNoiseExpert && top != kLowNoiseExpert && top != kCompleteFile &&
         !top.starts_with('.');
}

void collect_rest(const fs::path& folder, const fs::path& relative, const fs::path& containment,
                  int depth, std::vector<RestFile>& files) {
  if (depth > kMaxFolderDepth) {
    throw Error(Code::kCorruptFile, folder.string() + ": folders lie more than " +
                                        std::to_string(kMaxFolderDepth) + " deep");
  }
  std::vector<fs::path> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  for (const fs::path& name : names) {
    if (!belongs_to_rest(relative / name)) continue;
    const fs::path source = checkpoint::resolve_inside(folder / name, containment);
    if (fs::is_directory(source)) {
      collect_rest(folder / name, relative / name, containment, depth + 1, files);
    } else {
      files.push_back({.relative = relative / name,
                       .source = source,
                       .bytes = static_cast<int64_t>(fs::file_size(source)),
                       .weights = std::ranges::find(kWeightExtensions, name.extension()) !=
                                  kWeightExtensions.end()});
    }
  }
}

void append_stat(const fs::path& file, std::string& text) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) {
    throw Error(Code::kIo, file.string() + ": cannot stat");
  }
  text += file.string() + ":" + std::to_string(info.st_size) + ":" +
          std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec) + "\n";
}

// Every file of an input, so that a changed one makes another job.
void append_input(const fs::path& input, std::string& text) {
  if (!fs::is_directory(input)) {
    append_stat(input, text);
    return;
  }
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(input)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) append_stat(file, text);
}

std::string job_text(const ConversionPlan& plan, const OutputOptions& options,
                     int64_t shard_bytes) {
  std::string text =
      "mxvideo " + std::string(version()) + " " + plan.command + " " +
      std::string(layout_name(options.layout)) + " " + std::string(model_type_name(plan.variant)) +
      " " + std::to_string(shard_bytes) + (options.copy ? " copy " : " ") + plan.options + "\n";
  for (const fs::path& input : plan.inputs) append_input(fs::absolute(input), text);
  for (const RestFile& file : plan.rest) append_stat(file.source, text);
  return text;
}

using Shards = std::map<std::string, std::vector<ShardPlan>>;  // by component

int64_t bytes_to_write(const ConversionPlan& plan, const Shards& shards, bool copy) {
  int64_t bytes = 0;
  for (const auto& [component, list] : shards) {
    for (const ShardPlan& shard : list) {
      bytes = checked_add(bytes, shard.file_bytes, "bytes of the output");
    }
  }
  for (const RestFile& file : plan.rest) {
    if (file.copied(copy)) bytes = checked_add(bytes, file.bytes, "bytes of the output");
  }
  return bytes;
}

// Names of the files that the output will share with the source.
std::vector<std::string> linked_files(const ConversionPlan& plan, const OutputOptions& options) {
  std::vector<std::string> names;
  for (const RestFile& file : plan.rest) {
    if (!file.copied(options.copy)) names.push_back(file.relative.generic_string());
  }
  return names;
}

void note_linked(const std::vector<std::string>& names, const ConvertHooks& hooks) {
  if (names.empty()) return;
  hooks.note(count_of(std::ssize(names), "weight file is a hard link to the source, not a copy: ",
                      "weight files are hard links to the source, not copies: ") +
             name_list(names) + "; " + field("copy") + " copies");
}

// Layers whose weight holds codes of this format.
int64_t quantized_layers(const ComponentPlan& component, formats::MxElement element) {
  const DType codes = checkpoint::stored_dtype(element);
  return std::ranges::count_if(component.layers, [&](const OutputLayer& layer) {
    return std::ranges::any_of(target_tensors(layer), [&](const checkpoint::TensorSpec& tensor) {
      return tensor.dtype == codes && tensor.name.ends_with(".weight");
    });
  });
}

Json summarize(const ConversionPlan& plan, const OutputOptions& options, const Shards& shards) {
  Json components = Json::array();
  for (const ComponentPlan& component : plan.components) {
    Json files = Json::array();
    for (const ShardPlan& shard : shards.at(component.component)) {
      files.push_back({{"file", shard.file.string()},
                       {"bytes", shard.file_bytes},
                       {"tensors", shard.tensors.size()}});
    }
    Json texts = Json::array();
    for (const auto& [name, text] : component.texts) {
      texts.push_back((component.folder / name).string());
    }
    components.push_back({{"component", component.component},
                          {"folder", component.folder.string()},
                          {"mxfp8_layers", quantized_layers(component, formats::MxElement::kE4m3)},
                          {"mxint8_layers", quantized_layers(component, formats::MxElement::kInt8)},
                          {"files", std::move(files)},
                          {"texts", std::move(texts)}});
  }
  int64_t rest_bytes = 0;
  for (const RestFile& file : plan.rest) rest_bytes += file.bytes;
  return {{"command", plan.command},
          {"model_type", model_type_name(plan.variant)},
          {"layout", layout_name(options.layout)},
          {"output", options.path.string()},
          {"bytes", bytes_to_write(plan, shards, options.copy)},
          {"components", std::move(components)},
          {"rest",
           {{"files", plan.rest.size()},
            {"bytes", rest_bytes},
            {"linked", linked_files(plan, options)}}}};
}

fs::path written_weights(const ComponentPlan& component, const std::vector<ShardPlan>& shards,
                         OutputDirectory& output) {
  const fs::path file = output.path_of(shards.front().file);
  return component.one_file ? file : file.parent_path();
}

}  // namespace

std::vector<RestFile> rest_of_model(const fs::path& root) {
  std::vector<RestFile> files;
  if (root.empty()) return files;
  collect_rest(root, {}, checkpoint::containment_root(root), 0, files);
  return files;
}

ConversionResult run_conversion(const ConversionPlan& plan, const OutputOptions& options,
                                const ConversionHooks& hooks) {
  if (options.layout == Layout::kComfy && options.shard_bytes) {
    throw Error(
        Code::kInvalidArgument,
        field("shard_size") + ": a ComfyUI model is one file per expert; expected no shard size");
  }
  const int64_t shard_bytes = options.shard_bytes.value_or(kDefaultShardBytes);
  Shards shards;
  for (const ComponentPlan& component : plan.components) {
    shards[component.component] = plan_shards(component, shard_bytes);
  }
  ConversionResult result{.summary = summarize(plan, options, shards), .reports = {}};
  if (options.dry_run) return result;

  OutputDirectory output({.path = options.path,
                          .job = job_text(plan, options, shard_bytes),
                          .inputs = plan.inputs,
                          .bytes_needed = bytes_to_write(plan, shards, options.copy),
                          .overwrite = options.overwrite,
                          .discard_partial = options.discard_partial});
  const auto add_rest = [&](bool copied_weights) {
    for (const RestFile& file : plan.rest) {
      if ((file.weights && options.copy) != copied_weights) continue;
      hooks.general.throw_if_cancelled();
      output.add_file(file.relative, file.source, file.copied(options.copy));
    }
  };
  // Links and small files first: what is refused should not show after hours of work.
  note_linked(linked_files(plan, options), hooks.general);
  add_rest(false);
  for (const ComponentPlan& component : plan.components) {
    const std::vector<ShardPlan>& list = shards.at(component.component);
    result.reports[component.component] = write_component(component, list, output, hooks.general);
  }
  if (hooks.accept) hooks.accept(result);
  if (hooks.verify) {
    for (const ComponentPlan& component : plan.components) {
      hooks.verify(component, written_weights(component, shards.at(component.component), output));
    }
  }
  add_rest(true);
  output.commit(result.summary);
  return result;
}

}  // namespace mxvideo::convert
