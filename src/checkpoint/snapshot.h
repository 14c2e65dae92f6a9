// Completeness of one snapshot in a Hugging Face cache repository
// (models--org--name/{blobs,refs,snapshots,trees}). Thread-safe: no state.
// Source: huggingface_hub _tree_cache.py, _snapshot_download.py.
#pragma once

#include <filesystem>
#include <string>

namespace mxvideo::checkpoint {

// Compares the model files of snapshots/<commit> with trees/<commit>.json (presence and size) when
// that exists, otherwise with what model_index.json and the shard indexes name. Throws
// Code::kNotFound listing absent files and unfinished downloads, with `download_command` as the
// cure; Code::kCorruptFile when a file has the wrong size or leads out of the repository.
void check_snapshot_complete(const std::filesystem::path& repository, const std::string& commit,
                             const std::string& download_command);

}  // namespace mxvideo::checkpoint
