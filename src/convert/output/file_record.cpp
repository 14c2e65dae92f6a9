#include "convert/output/file_record.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/json.h"
#include "base/text/quote.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;

constexpr JsonLimits kLimits = {.max_bytes = 256u << 20};

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_plain_relative(const fs::path& name) {
  return !name.empty() && name.is_relative() && name == name.lexically_normal() &&
         name.has_filename() && *name.begin() != ".." && *name.begin() != ".";
}

nlohmann::ordered_json to_json(const FileRecords& files, bool notes) {
  nlohmann::ordered_json result = nlohmann::ordered_json::object();
  auto& items = result.get_ref<nlohmann::ordered_json::object_t&>();
  for (const auto& [name, record] : files) {
    nlohmann::ordered_json entry;
    entry["bytes"] = record.bytes;
    if (record.linked_to.empty()) {
      entry["sha256"] = record.sha256;
    } else {
      entry["linked_to"] = record.linked_to;
    }
    if (notes && !record.note.is_null()) entry["note"] = record.note;
    items.push_back({name, std::move(entry)});
  }
  return result;
}

FileRecords parse_files(const nlohmann::json& files, const std::string& origin) {
  const JsonFields checked(files, origin + ": files");  // refuses what is no object
  FileRecords result;
  for (const auto& [name, value] : files.items()) {
    if (!is_plain_relative(name)) {
      throw Error(Code::kCorruptFile,
                  origin + ": '" + printable(name) + "' is not a path inside the directory");
    }
    const JsonFields fields(value, origin + ": '" + printable(name) + "'");
    FileRecord record;
    record.bytes = fields.integer("bytes", 0, std::numeric_limits<int64_t>::max());
    record.linked_to = fields.string_or("linked_to", "");
    if (record.linked_to.empty()) {
      record.sha256 = fields.string("sha256");
      if (!is_sha256(record.sha256)) {
        throw Error(Code::kCorruptFile, fields.origin() + ": field 'sha256': expected 64 hex " +
                                            "digits, got '" + printable(record.sha256, 80) + "'");
      }
    }
    record.note = fields.raw("note");
    result.emplace(name, std::move(record));
  }
  return result;
}

void write_json(const fs::path& path, const nlohmann::ordered_json& value) {
  std::string text;
  try {
    text = value.dump(1) + "\n";
  } catch (const nlohmann::json::exception& error) {
    throw Error(Code::kInvalidArgument,
                path.string() + ": cannot be written: " + printable(error.what()));
  }
  write_file_atomically(path, text);
}

std::optional<nlohmann::json> read_json(const fs::path& path) {
  std::error_code error;
  if (fs::symlink_status(path, error).type() == fs::file_type::not_found) return std::nullopt;
  return read_json_file(path, kLimits);
}

}  // namespace

std::optional<Journal> read_journal(const fs::path& directory) {
  const fs::path path = directory / kJournalFile;
  const std::optional<nlohmann::json> root = read_json(path);
  if (!root) return std::nullopt;
  const JsonFields fields(*root, path.string());
  return Journal{fields.string("job"), parse_files(fields.raw("files"), path.string())};
}

void write_journal(const fs::path& directory, const Journal& journal) {
  nlohmann::ordered_json root;
  root["job"] = journal.job;
  root["files"] = to_json(journal.files, true);
  write_json(directory / kJournalFile, root);
}

std::optional<FileRecords> read_complete_file(const fs::path& directory) {
  const fs::path path = directory / kCompleteFile;
  const std::optional<nlohmann::json> root = read_json(path);
  if (!root) return std::nullopt;
  return parse_files(JsonFields(*root, path.string()).raw("files"), path.string());
}

void write_complete_file(const fs::path& directory, const FileRecords& files,
                         const nlohmann::ordered_json& summary) {
  nlohmann::ordered_json root;
  root["files"] = to_json(files, false);
  root["summary"] = summary;
  write_json(directory / kCompleteFile, root);
}

}  // namespace mxvideo::convert
