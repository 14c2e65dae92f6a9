#include "checkpoint/snapshot.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "checkpoint/json.h"
#include "checkpoint/model_index.h"
#include "checkpoint/quote.h"
#include "checkpoint/shard_index.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 9> kModelFolders = {
    "transformer",      "transformer_2",   "vae",   "text_encoder", "tokenizer", "scheduler",
    "high_noise_model", "low_noise_model", "google"};
constexpr std::array<std::string_view, 3> kModelExtensions = {".json", ".safetensors", ".model"};

// Files of a repository listing that a run reads; READMEs, pictures and the like are not needed.
bool is_model_file(const fs::path& file) {
  const auto contains = [](const auto& list, const std::string& text) {
    return std::find(list.begin(), list.end(), text) != list.end();
  };
  if (file == "model_index.json") return true;
  return file.has_parent_path() && contains(kModelFolders, file.begin()->string()) &&
         contains(kModelExtensions, file.extension().string());
}

bool is_plain_relative(const fs::path& file) {
  return file.is_relative() && std::none_of(file.begin(), file.end(), [](const fs::path& part) {
           return part == ".." || part == ".";
         });
}

struct SnapshotProblems {
  std::vector<std::string> missing;
  std::vector<std::string> wrong_size;
};

// What the listing of the repository promises. False when there is none that can be read.
bool check_against_tree(const fs::path& repository, const std::string& commit,
                        SnapshotProblems* problems) {
  const fs::path tree_path = repository / "trees" / (commit + ".json");
  if (!fs::is_regular_file(tree_path)) return false;
  const nlohmann::json tree = read_json_file(tree_path);
  const JsonFields fields(tree, tree_path.string());
  if (fields.integer_or("format_version", 0, 0, std::numeric_limits<int64_t>::max()) != 1) {
    return false;
  }
  const JsonFields files(fields.raw("files"), tree_path.string() + ": files");
  for (const auto& [name, entry] : fields.raw("files").items()) {
    const fs::path file = name;
    if (!is_plain_relative(file)) {
      throw Error(Code::kCorruptFile, tree_path.string() + ": '" + printable(name) +
                                          "' is not a path inside the repository");
    }
    if (!is_model_file(file)) continue;
    const JsonFields entry_fields(entry, tree_path.string() + ": '" + printable(name) + "'");
    const int64_t size = entry_fields.integer("size", 0, std::numeric_limits<int64_t>::max());
    const fs::path path = repository / "snapshots" / commit / file;
    std::error_code error;
    const auto got = fs::file_size(path, error);
    if (error) {
      problems->missing.push_back(name);
    } else if (got != static_cast<uintmax_t>(size)) {
      problems->wrong_size.push_back(name + " (expected " + std::to_string(size) + " bytes, got " +
                                     std::to_string(got) + ")");
    }
  }
  return true;
}

// Files of one component's folder that are listed but cannot be opened, and shards that its index
// files name but the folder lacks.
void check_component(const fs::path& folder, const std::string& name, SnapshotProblems* problems) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    if (!fs::exists(entry.path())) {
      problems->missing.push_back(name + "/" + file);
      continue;
    }
    if (!file.ends_with(".safetensors.index.json")) continue;
    for (const std::string& shard : read_shard_index(entry.path()).shards()) {
      const fs::path path = folder / shard;
      // A dangling link is found by the directory listing too.
      if (!fs::exists(path) && !fs::is_symlink(path)) {
        problems->missing.push_back(name + "/" + shard);
      }
    }
  }
}

// What the snapshot's own index files name.
void check_against_indexes(const fs::path& snapshot, SnapshotProblems* problems) {
  const fs::path index_path = snapshot / "model_index.json";
  if (!fs::exists(index_path)) return;  // another layout; the model itself will tell
  for (const auto& [name, component] : read_model_index(index_path).components) {
    const fs::path folder = snapshot / name;
    std::error_code error;
    if (!fs::is_directory(folder, error) || fs::is_empty(folder, error)) {
      problems->missing.push_back(name + "/");
    } else {
      check_component(folder, name, problems);
    }
  }
}

// Every file must be, or lead to, a file of this repository.
void check_links(const fs::path& repository, const fs::path& snapshot) {
  const fs::path root = fs::canonical(repository);
  for (const auto& entry : fs::recursive_directory_iterator(snapshot)) {
    if (entry.is_symlink() && fs::exists(entry.path())) resolve_inside(entry.path(), root);
  }
}

size_t count_unfinished_downloads(const fs::path& repository) {
  size_t count = 0;
  std::error_code error;
  for (fs::directory_iterator entry(repository / "blobs", error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".incomplete") ++count;
  }
  return count;
}

}  // namespace

void check_snapshot_complete(const fs::path& repository, const std::string& commit,
                             const std::string& download_command) {
  const fs::path snapshot = repository / "snapshots" / commit;
  check_links(repository, snapshot);
  SnapshotProblems problems;
  if (!check_against_tree(repository, commit, &problems)) {
    check_against_indexes(snapshot, &problems);
  }
  if (!problems.wrong_size.empty()) {
    throw Error(Code::kCorruptFile, snapshot.string() + ": " +
                                        std::to_string(problems.wrong_size.size()) +
                                        " files of wrong size: " + name_list(problems.wrong_size));
  }
  if (problems.missing.empty()) return;
  std::sort(problems.missing.begin(), problems.missing.end());
  const size_t unfinished = count_unfinished_downloads(repository);
  throw Error(Code::kNotFound,
              snapshot.string() + ": incomplete: " + std::to_string(problems.missing.size()) +
                  " files missing: " + name_list(problems.missing) +
                  (unfinished == 0 ? ""
                                   : "; " + std::to_string(unfinished) +
                                         " unfinished downloads (*.incomplete) in blobs") +
                  "; complete it with: " + download_command);
}

}  // namespace mxvideo::checkpoint
