// Whether files have the bytes that something promises: complete.json of mxvideo, the names of
// blobs in a Hugging Face cache. Files are hashed on all threads, in pieces. Not thread-safe.
// Source: huggingface_hub file_download.py (a blob is named by its etag: SHA-256 of LFS files, the
// git object id of others).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mxvideo::audit {

struct HashedFile {
  std::string path = {};
  std::string source = {};  // "complete.json", "blob name"
  int64_t bytes = 0;
  std::string problem = {};  // empty: the bytes are what they should be
};

struct FileCheck {
  std::vector<HashedFile> files;
  std::vector<std::string> problems;  // of no single file: unfinished downloads
};

// Everything below `directory` that something promises. Throws Code::kCorruptFile for a
// complete.json that cannot be read.
FileCheck check_files(const std::filesystem::path& directory);

// The git object id of a file: SHA-1 of "blob SIZE\0" and its bytes; 40 hex digits. Throws
// Code::kNotFound, Code::kIo.
std::string git_blob_id(const std::filesystem::path& path);

}  // namespace mxvideo::audit
