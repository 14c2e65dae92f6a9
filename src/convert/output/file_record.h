// What is noted about each file of an output directory, and the two files that hold the notes:
// the journal of an unfinished directory and complete.json of a finished one. Thread-safe: no
// state.
//
// complete.json: {"files": {NAME: {"bytes": N, "sha256": HEX} or {"bytes": N, "linked_to": PATH}},
//                 "summary": …}
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mxvideo::convert {

inline constexpr std::string_view kCompleteFile = "complete.json";
inline constexpr std::string_view kJournalFile = ".mxvideo-journal.json";

struct FileRecord {
  int64_t bytes = 0;
  std::string sha256;           // empty for a linked file, which would have to be read for it
  std::string linked_to;        // absolute, free of links; empty for a file with bytes of its own
  nlohmann::ordered_json note;  // what the job wants to know again when it resumes; may be null
};

// By path relative to the directory, with '/' between folders.
using FileRecords = std::map<std::string, FileRecord>;

struct Journal {
  std::string job;
  FileRecords files;
};

// nullopt without a journal. Throws Code::kCorruptFile, Code::kIo.
std::optional<Journal> read_journal(const std::filesystem::path& directory);
// Replaces it atomically. Throws Code::kIo; Code::kInvalidArgument for a name that is no UTF-8.
void write_journal(const std::filesystem::path& directory, const Journal& journal);

// What complete.json of `directory` says, notes left out; nullopt without one. Throws
// Code::kCorruptFile, Code::kIo.
std::optional<FileRecords> read_complete_file(const std::filesystem::path& directory);
void write_complete_file(const std::filesystem::path& directory, const FileRecords& files,
                         const nlohmann::ordered_json& summary);

}  // namespace mxvideo::convert
