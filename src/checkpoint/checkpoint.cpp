#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/file/file_kind.h"
#include "base/file/mapped_file.h"
#include "base/text/quote.h"
#include "checkpoint/containment.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shard_index.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::array kStems = {"diffusion_pytorch_model", "model"};
constexpr std::string_view kExportPrefix = "quant_model_weight";  // of msmodelslim
constexpr std::string_view kFileSuffix = ".safetensors";
constexpr std::string_view kIndexSuffix = ".safetensors.index.json";

std::vector<std::string> file_names(const fs::path& directory) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_shard_of(const std::string& name, const std::string& stem) {
  const auto shard = parse_shard_name(name);
  return shard && shard->stem == stem;
}

// A shard that the checkpoint does not use is left over from another one, or its index is.
void check_no_stray_shards(const fs::path& directory, const std::string& stem,
                           const std::set<std::string>& used) {
  std::vector<std::string> stray;
  for (const std::string& name : file_names(directory)) {
    if (is_shard_of(name, stem) && used.count(name) == 0) stray.push_back(name);
  }
  if (stray.empty()) return;
  throw Error(Code::kCorruptFile, directory.string() + ": " + std::to_string(stray.size()) +
                                      " shards are in no index: " + name_list(stray) +
                                      "; remove them or the stale " +
                                      (used.empty() ? stem + std::string(kFileSuffix) : "index"));
}

// The stem of an msmodelslim export, whose suffix names its type: quant_model_weight_w8a8_mxfp8.
// nullopt without one; throws when there are several.
std::optional<std::string> find_export_stem(const fs::path& directory) {
  std::vector<std::string> files, indexes;
  for (const std::string& name : file_names(directory)) {
    if (!name.starts_with(kExportPrefix)) continue;
    if (name.ends_with(kFileSuffix)) files.push_back(name);
    if (name.ends_with(kIndexSuffix)) indexes.push_back(name);
  }
  if (files.empty() && indexes.empty()) return std::nullopt;
  if (indexes.size() == 1) {
    return indexes.front().substr(0, indexes.front().size() - kIndexSuffix.size());
  }
  if (indexes.empty() && files.size() == 1) {
    return files.front().substr(0, files.front().size() - kFileSuffix.size());
  }
  throw Error(Code::kCorruptFile, directory.string() +
                                      ": expected one quant_model_weight*.safetensors or one " +
                                      "quant_model_weight*.safetensors.index.json, got " +
                                      name_list(indexes.empty() ? files : indexes));
}

// Files that may hold weights, for the message when none has the expected name.
std::vector<std::string> weight_files(const fs::path& directory) {
  static const std::set<std::string> kExtensions = {".safetensors", ".bin", ".pth", ".pt", ".gguf"};
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (kExtensions.count(entry->path().extension().string()) > 0) {
      names.push_back(entry->path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

// What is known of files that lie where weights were looked for: that they are shards without an
// index, or what the first of another format is.
std::string explain_present(const fs::path& directory, const std::vector<std::string>& present) {
  for (const std::string& name : present) {
    if (const auto shard = parse_shard_name(name)) {
      return ": " + std::string(present.size() == 1 ? "it is " : "the first is ") +
             shard->sentence() + " without the index " + shard->stem + std::string(kIndexSuffix) +
             "; get the index and every shard";
    }
  }
  for (const std::string& name : present) {
    std::error_code error;
    if (!fs::is_regular_file(directory / name, error)) continue;
    const MappedFile file(directory / name);
    if (const auto kind = recognise_container(file.bytes())) {
      return ": " + name + " " + kind->sentence();
    }
  }
  return "";
}

[[noreturn]] void report_nothing_found(const fs::path& directory) {
  std::string searched;
  for (const char* stem : kStems) {
    if (!searched.empty()) searched += ", ";
    searched += std::string(stem) + ".safetensors, " + stem + ".safetensors.index.json";
  }
  searched += ", quant_model_weight*.safetensors";
  const std::vector<std::string> present = weight_files(directory);
  const std::string got = present.empty()
                              ? "no weight files"
                              : "only " + name_list(present) + explain_present(directory, present);
  throw Error(Code::kNotFound,
              directory.string() + ": no checkpoint: expected one of " + searched + ", got " + got);
}

// What an index promises against what its shards hold.
struct IndexMismatch {
  std::vector<std::string> missing;  // in the index, not in the shard it names
  std::vector<std::string> extra;    // in a shard, not promised for that shard

  bool any() const { return !missing.empty() || !extra.empty(); }
  std::string message() const {
    std::string text;
    if (!missing.empty()) {
      text += std::to_string(missing.size()) + " tensors are not in the shard that weight_map " +
              "names: " + name_list(missing);
    }
    if (!extra.empty()) {
      text += std::string(text.empty() ? "" : "; ") + std::to_string(extra.size()) +
              " tensors of shards are not in weight_map: " + name_list(extra);
    }
    return text;
  }
};

}  // namespace

std::string_view component_noun(Component component) {
  switch (component) {
    case Component::kTransformer:
      return "a transformer";
    case Component::kTextEncoder:
      return "a text encoder";
    case Component::kVae:
      return "a VAE";
  }
  return "a model";
}

void StoredTensor::release_pages() const { file->release_pages(view); }

Checkpoint::Checkpoint() = default;
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

void Checkpoint::add_file(const fs::path& path) {
  files_.push_back(std::make_unique<SafetensorsFile>(path));
  const SafetensorsFile* file = files_.back().get();
  for (const SafetensorsEntry& entry : file->entries()) {
    const auto [position, inserted] =
        tensors_.emplace(entry.name, StoredTensor{.view = file->view(entry), .file = file});
    if (!inserted) {
      throw Error(Code::kCorruptFile, path.string() + ": tensor '" + printable(entry.name) +
                                          "': also in " + position->second.file->path().string());
    }
  }
}

Checkpoint Checkpoint::open_file(const fs::path& file) {
  if (file.filename().string().ends_with(kIndexSuffix)) return open_shards(file);
  Checkpoint checkpoint;
  checkpoint.add_file(file);
  checkpoint.description_ = file.string();
  return checkpoint;
}

Checkpoint Checkpoint::open_shards(const fs::path& index_path) {
  const ShardIndex index = read_shard_index(index_path);
  const fs::path directory = index_path.parent_path();
  const fs::path root = containment_root(directory);
  const std::set<std::string> shards = index.shards();
  const std::string file_name = index_path.filename().string();
  check_no_stray_shards(directory, file_name.substr(0, file_name.size() - kIndexSuffix.size()),
                        shards);

  std::vector<std::string> absent;
  for (const std::string& shard : shards) {
    if (!fs::exists(directory / shard)) absent.push_back(shard);
  }
  if (!absent.empty()) {
    throw Error(Code::kNotFound, index_path.string() + ": " + std::to_string(absent.size()) +
                                     " of " + std::to_string(shards.size()) +
                                     " shards are missing: " + name_list(absent));
  }

  Checkpoint checkpoint;
  IndexMismatch mismatch;
  for (const std::string& shard : shards) {
    const fs::path path = directory / shard;
    resolve_inside(path, root);
    checkpoint.add_file(path);
    for (const SafetensorsEntry& entry : checkpoint.files_.back()->entries()) {
      const auto promised = index.weight_map.find(entry.name);
      if (promised == index.weight_map.end() || promised->second != shard) {
        mismatch.extra.push_back(entry.name + " (" + shard + ")");
      }
    }
  }
  for (const auto& [name, shard] : index.weight_map) {
    const auto found = checkpoint.tensors_.find(name);
    if (found == checkpoint.tensors_.end() || found->second.file->path().filename() != shard) {
      mismatch.missing.push_back(name + " (" + shard + ")");
    }
  }
  if (mismatch.any()) {
    throw Error(Code::kCorruptFile, index_path.string() + ": " + mismatch.message());
  }
  const int64_t bytes = checkpoint.tensor_bytes();
  if (index.total_size && *index.total_size != bytes) {
    throw Error(Code::kCorruptFile, index_path.string() + ": total_size: expected " +
                                        std::to_string(*index.total_size) +
                                        " bytes in the shards, got " + std::to_string(bytes));
  }
  checkpoint.description_ =
      index_path.string() + " (" + std::to_string(checkpoint.files_.size()) + " shards)";
  return checkpoint;
}

Checkpoint Checkpoint::open_directory(const fs::path& directory) {
  const fs::path root = containment_root(directory);
  if (!fs::is_directory(directory)) {
    throw Error(Code::kNotFound, directory.string() + ": not a directory");
  }
  std::vector<std::string> stems(kStems.begin(), kStems.end());
  if (const auto stem = find_export_stem(directory)) stems.push_back(*stem);
  for (const std::string& stem : stems) {
    const fs::path file = directory / (stem + std::string(kFileSuffix));
    const fs::path index = directory / (stem + std::string(kIndexSuffix));
    const bool has_file = fs::exists(file);
    const bool has_index = fs::exists(index);
    if (has_file && has_index) {
      throw Error(Code::kCorruptFile, directory.string() + ": holds both " +
                                          file.filename().string() + " and " +
                                          index.filename().string() + "; remove the stale one");
    }
    if (!has_file && !has_index) continue;
    resolve_inside(has_file ? file : index, root);
    if (has_file) check_no_stray_shards(directory, stem, {});
    return has_file ? open_file(file) : open_shards(index);
  }
  report_nothing_found(directory);
}

size_t Checkpoint::file_index(const StoredTensor& tensor) const {
  const auto found = std::find_if(files_.begin(), files_.end(),
                                  [&](const auto& file) { return file.get() == tensor.file; });
  check(found != files_.end(), "tensor belongs to this checkpoint");
  return static_cast<size_t>(found - files_.begin());
}

int64_t Checkpoint::tensor_bytes() const {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors_) {
    bytes = checked_add(bytes, tensor.view.bytes(), "checkpoint bytes");
  }
  return bytes;
}

std::vector<const SafetensorsFile*> Checkpoint::files() const {
  std::vector<const SafetensorsFile*> files;
  for (const auto& file : files_) files.push_back(file.get());
  return files;
}

std::map<std::string, std::string> Checkpoint::metadata() const {
  std::map<std::string, std::string> merged;
  for (const auto& file : files_) merged.insert(file->metadata().begin(), file->metadata().end());
  return merged;
}

void Checkpoint::rename(const std::map<std::string, std::string>& new_names) {
  std::map<std::string, StoredTensor, std::less<>> renamed;
  for (const auto& [name, tensor] : tensors_) {
    const auto found = new_names.find(name);
    const std::string& target = found == new_names.end() ? name : found->second;
    if (!renamed.emplace(target, tensor).second) {
      throw Error(Code::kCorruptFile, description_ + ": tensor '" + printable(name) +
                                          "': another tensor also stands for '" +
                                          printable(target) + "'");
    }
  }
  tensors_ = std::move(renamed);
}

void Checkpoint::set_aside(std::string_view name, std::string_view why) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return;
  notices_.push_back(description_ + ": tensor " + printable(name) + " " + std::string(why));
  set_aside_.insert(tensors_.extract(found));
}

void Checkpoint::check_unchanged() const {
  for (const auto& file : files_) file->check_unchanged();
}

}  // namespace mxvideo::checkpoint
