// The tensors of one component (transformer, vae, text_encoder…) of a model directory: one
// safetensors file or shards with an index. Move-only; const access is thread-safe; views live as
// long as the Checkpoint.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace mxvideo::checkpoint {

class SafetensorsFile;

enum class Component { kTransformer, kTextEncoder, kVae };
std::string_view component_noun(Component component);  // "a transformer", …

// One tensor as it lies in its file.
struct StoredTensor {
  TensorView view;
  const SafetensorsFile* file = nullptr;
  // Drops the pages of this tensor from memory; the bytes can still be read again.
  void release_pages() const;
};

class Checkpoint {
 public:
  // Opens <directory>/<stem>.safetensors or, when present, the shards that
  // <directory>/<stem>.safetensors.index.json lists; both together are ambiguous and refused.
  // Stems are tried in order: "diffusion_pytorch_model", "model", and the one that begins with
  // "quant_model_weight" (msmodelslim). Numbered shards that no index lists are refused. A shard is
  // one file name
  // inside the directory; a symbolic link may lead to the blobs of the same Hugging Face cache
  // repository, nowhere else. Throws Code::kNotFound naming what was searched,
  // Code::kUnsupported for links elsewhere, Code::kCorruptFile for every defect of index or shards.
  static Checkpoint open_directory(const std::filesystem::path& directory);
  // A safetensors file, or the index of shards.
  static Checkpoint open_file(const std::filesystem::path& file);

  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  const std::map<std::string, StoredTensor, std::less<>>& tensors() const { return tensors_; }
  // Order of a tensor's file among the files of this checkpoint.
  size_t file_index(const StoredTensor& tensor) const;
  // Bytes of all tensors, as stored.
  int64_t tensor_bytes() const;
  // In the order of file_index().
  std::vector<const SafetensorsFile*> files() const;
  // __metadata__ of all files; where files disagree, the first file's value.
  std::map<std::string, std::string> metadata() const;
  // "DIR/diffusion_pytorch_model.safetensors (3 shards)": for messages.
  const std::string& description() const { return description_; }
  // Renames every tensor that is a key of `new_names`; throws Code::kCorruptFile when two get the
  // same name.
  void rename(const std::map<std::string, std::string>& new_names);
  // What the tensors are taken for: set by normalize_names() (key_map.h).
  void set_component(Component component) { component_ = component; }
  std::optional<Component> component() const { return component_; }
  // Takes a tensor that is no weight out of tensors(), with a line that says so: "PATH: tensor NAME
  // WHY". Without such a tensor nothing happens.
  void set_aside(std::string_view name, std::string_view why);
  const std::map<std::string, StoredTensor, std::less<>>& tensors_set_aside() const {
    return set_aside_;
  }
  // What a user should know and did not ask for.
  const std::vector<std::string>& notices() const { return notices_; }
  // Throws Code::kIo when a file changed on disk since it was opened.
  void check_unchanged() const;

 private:
  Checkpoint();
  static Checkpoint open_shards(const std::filesystem::path& index_path);
  void add_file(const std::filesystem::path& path);

  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, StoredTensor, std::less<>> tensors_;
  std::map<std::string, StoredTensor, std::less<>> set_aside_;
  std::optional<Component> component_;
  std::vector<std::string> notices_;
  std::string description_;
};

}  // namespace mxvideo::checkpoint
