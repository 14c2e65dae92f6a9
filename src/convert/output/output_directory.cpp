#include "convert/output/output_directory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/sha256.h"
#include "base/text/field.h"
#include "base/text/quote.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& path, const std::string& why) {
  throw Error(Code::kInvalidArgument, path.string() + ": " + why);
}

// Both free of links; true when they are equal too.
bool contains(const fs::path& outer, const fs::path& inner) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

fs::path without_trailing_slash(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

fs::path resolved(const fs::path& path) {
  std::error_code error;
  fs::path result = fs::weakly_canonical(path, error);
  if (error) throw Error(Code::kIo, path.string() + ": cannot resolve: " + error.message());
  return result;
}

// The place of the name itself, which may be a link to somewhere else.
fs::path resolved_name(const fs::path& path) {
  const fs::path name = without_trailing_slash(fs::absolute(path));
  return resolved(name.parent_path()) / name.filename();
}

bool is_journal_temporary(const std::string& name) {
  return name.starts_with(std::string(kJournalFile) + ".partial-");
}

// Size of a regular file, links followed or not; -1 when there is none.
int64_t size_of(const fs::path& path, bool follow) {
  std::error_code error;
  const fs::file_status status = follow ? fs::status(path, error) : fs::symlink_status(path, error);
  if (status.type() != fs::file_type::regular) return -1;
  const uintmax_t size = fs::file_size(path, error);
  return error ? -1 : static_cast<int64_t>(size);
}

}  // namespace

OutputDirectory::OutputDirectory(OutputDirectoryOptions options) : options_(std::move(options)) {
  check_path();
  for (const fs::path& input : options_.inputs) check_input(input);
  check_target();
  lock_ = make_locked_directory(partial_);
  try {
    check_target();  // again: who held the lock may have finished
    finish_interrupted_commit();
    take_over_partial();
    check_space();
  } catch (...) {
    leave();
    throw;
  }
}

OutputDirectory::~OutputDirectory() { leave(); }

void OutputDirectory::leave() noexcept {
  if (lock_.get() < 0 || committed_) return;
  try {
    if (owned_ && files_.empty() && journal_.empty()) {
      remove_unless(partial_, [](const std::string&) { return false; });
    }
  } catch (const std::exception&) {  // what is left is a partial directory like any other
  }
  ::rmdir(partial_.c_str());  // succeeds only when it is empty
  lock_.reset();
}

void OutputDirectory::check_path() {
  if (options_.path.empty()) throw Error(Code::kInvalidArgument, "output directory: empty path");
  options_.path = without_trailing_slash(options_.path);
  const fs::path name = options_.path.filename();
  if (name.empty() || name == "." || name == "..") refuse(options_.path, "names no new directory");
  parent_ = options_.path.has_parent_path() ? options_.path.parent_path() : fs::path(".");
  std::error_code error;
  if (!fs::is_directory(parent_, error)) {
    refuse(options_.path, "there is no directory " + parent_.string());
  }
  partial_ = options_.path.string() + ".partial";
}

void OutputDirectory::check_input(const fs::path& input) const {
  for (const fs::path& output : {resolved_name(options_.path), resolved_name(partial_)}) {
    for (const fs::path& place : {resolved(input), resolved_name(input)}) {
      if (contains(output, place)) {
        refuse(options_.path, "writing it would overwrite the input " + input.string());
      }
      if (contains(place, output)) refuse(options_.path, "lies inside the input " + input.string());
    }
  }
}

void OutputDirectory::check_target() const {
  const fs::path& path = options_.path;
  if (!name_exists(path)) return;
  if (!options_.overwrite) refuse(path, "exists already (" + field("overwrite") + " replaces it)");
  std::error_code error;
  if (fs::symlink_status(path, error).type() != fs::file_type::directory) {
    refuse(path, "cannot be overwritten: it is no directory");
  }
  std::vector<std::string> names = files_below(path);
  if (names.empty()) return;
  const std::optional<FileRecords> complete = read_complete_file(path);
  if (!complete) {
    refuse(path, "cannot be overwritten: it has no " + std::string(kCompleteFile) +
                     ", so it is no finished output of mxvideo");
  }
  std::erase_if(names, [&](const std::string& name) {
    return complete->contains(name) || name == kCompleteFile || name == kJournalFile;
  });
  if (names.empty()) return;
  refuse(path,
         "cannot be overwritten: it holds files that mxvideo did not write: " + name_list(names));
}

// What a process left that was killed after it had renamed its result.
void OutputDirectory::finish_interrupted_commit() {
  const fs::path journal = options_.path / kJournalFile;
  if (!name_exists(journal)) return;
  if (name_exists(partial_ / kCompleteFile) && !name_exists(partial_ / kJournalFile)) {
    remove_unless(partial_, [](const std::string& name) { return name == kCompleteFile; });
    remove_unless(partial_, [](const std::string&) { return false; });
  }
  std::error_code error;
  fs::remove(journal, error);
  if (error) throw Error(Code::kIo, journal.string() + ": cannot remove: " + error.message());
  sync_directory(options_.path);
}

void OutputDirectory::take_over_partial() {
  const std::vector<std::string> names = files_below(partial_);
  const bool has_journal = name_exists(partial_ / kJournalFile);
  if (!has_journal && !std::all_of(names.begin(), names.end(), is_journal_temporary)) {
    refuse(partial_, "is no partial output of mxvideo; it holds " + name_list(names));
  }
  if (has_journal && !options_.discard_partial) {
    Journal journal = read_journal(partial_).value();
    if (journal.job != options_.job) {
      refuse(partial_,
             "is the partial output of another job (" + field("discard_partial") + " starts anew)");
    }
    journal_ = std::move(journal.files);
  }
  owned_ = true;
  remove_unless(partial_, [&](const std::string& name) {
    return name == kJournalFile || journal_.contains(name);
  });
  save_journal();
}

void OutputDirectory::check_space() const {
  check(options_.bytes_needed >= 0, "the bytes that a job needs are not negative");
  uint64_t needed = static_cast<uint64_t>(options_.bytes_needed);
  needed += needed / 20;
  for (const auto& [name, record] : journal_) {
    if (!record.linked_to.empty() || size_of(partial_ / name, false) != record.bytes) continue;
    needed -= std::min(needed, static_cast<uint64_t>(record.bytes));
  }
  const uint64_t available = free_bytes(partial_);
  if (needed <= available) return;
  throw Error(Code::kIo, options_.path.string() + ": needs " + std::to_string(needed) +
                             " bytes, but its file system has only " + std::to_string(available) +
                             " bytes free");
}

void OutputDirectory::save_journal() const {
  FileRecords all = journal_;
  for (const auto& [name, record] : files_) all[name] = record;
  write_journal(partial_, {options_.job, std::move(all)});
}

std::string OutputDirectory::key_of(const fs::path& relative) const {
  const fs::path normal = relative.lexically_normal();
  std::string key = normal.generic_string();
  if (relative.empty() || relative.is_absolute() || !normal.has_filename() || key == "." ||
      *normal.begin() == "..") {
    refuse(options_.path, "'" + printable(key) + "' is not a file inside of it");
  }
  if (key == kCompleteFile || key == kJournalFile) {
    refuse(options_.path, "'" + key + "' is not the job's to write");
  }
  return key;
}

fs::path OutputDirectory::path_of(const fs::path& relative) {
  fs::path path = partial_ / key_of(relative);
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) {
    throw Error(Code::kIo, path.parent_path().string() + ": cannot create: " + error.message());
  }
  return path;
}

std::optional<FileRecord> OutputDirectory::reusable(const fs::path& relative) {
  const std::string key = key_of(relative);
  const auto found = journal_.find(key);
  if (found == journal_.end()) return std::nullopt;
  FileRecord record = std::move(found->second);
  journal_.erase(found);
  const fs::path path = partial_ / key;
  if (!record.linked_to.empty() || size_of(path, false) != record.bytes ||
      sha256_file(path) != record.sha256) {
    return std::nullopt;
  }
  files_[key] = record;
  return record;
}

const FileRecord& OutputDirectory::add_record(const std::string& key, FileRecord record) {
  journal_.erase(key);
  const FileRecord& added = files_[key] = std::move(record);
  save_journal();
  return added;
}

const FileRecord& OutputDirectory::finished(const fs::path& relative, nlohmann::ordered_json note,
                                            std::string sha256) {
  const std::string key = key_of(relative);
  const fs::path path = partial_ / key;
  FileRecord record;
  record.bytes = size_of(path, false);
  if (record.bytes < 0) throw Error(Code::kInternal, path.string() + ": finished but not there");
  record.sha256 = sha256.empty() ? sha256_file(path) : std::move(sha256);
  record.note = std::move(note);
  return add_record(key, std::move(record));
}

void OutputDirectory::write_text(const fs::path& relative, std::string_view text) {
  write_file_atomically(path_of(relative), text);
  finished(relative);
}

void OutputDirectory::add_file(const fs::path& relative, const fs::path& source, bool copy) {
  const fs::path path = path_of(relative);
  std::error_code error;
  const fs::path real = fs::canonical(source, error);
  const int64_t bytes = error ? -1 : size_of(real, false);
  if (bytes < 0) throw Error(Code::kNotFound, source.string() + ": there is no such file");
  if (contains(resolved_name(options_.path), real)) {
    refuse(options_.path, "writing it would overwrite the input " + source.string());
  }
  if (copy) {
    if (reusable(relative)) return;
    copy_bytes(real, path);
    finished(relative);
    return;
  }
  link_file(real, path);
  FileRecord record;
  record.bytes = bytes;
  record.linked_to = real.string();
  add_record(key_of(relative), std::move(record));
}

void OutputDirectory::commit(const nlohmann::ordered_json& summary) {
  check(owned_ && !committed_, "an output directory is committed once");
  for (const auto& [name, record] : files_) {
    const int64_t bytes = size_of(partial_ / name, !record.linked_to.empty());
    if (bytes == record.bytes) continue;
    throw Error(Code::kIo, (partial_ / name).string() +
                               ": changed since it was written: expected " +
                               std::to_string(record.bytes) + " bytes, got " +
                               (bytes < 0 ? "no file" : std::to_string(bytes)));
  }
  remove_unless(partial_, [&](const std::string& name) {
    return name == kJournalFile || files_.contains(name);
  });
  write_complete_file(partial_, files_, summary);
  sync_directories(partial_);
  replace_target();
  const fs::path journal = options_.path / kJournalFile;
  ::unlink(journal.c_str());  // harmless where it stays
  sync_directory(options_.path);
}

void OutputDirectory::replace_target() {
  check_target();
  if (!name_exists(options_.path)) {
    rename_new(partial_, options_.path);
    committed_ = true;
    sync_directory(parent_);
    return;
  }
  // Until the old directory is gone, nobody else may take it for a partial one.
  const Descriptor old_lock = lock_directory(options_.path);
  exchange_names(partial_, options_.path);
  committed_ = true;
  sync_directory(parent_);
  remove_unless(partial_, [](const std::string& name) { return name == kCompleteFile; });
  remove_unless(partial_, [](const std::string&) { return false; });
  if (::rmdir(partial_.c_str()) != 0) {
    const std::string reason = std::strerror(errno);
    throw Error(Code::kIo, options_.path.string() +
                               ": written, but the directory that it replaces "
                               "could not be removed from " +
                               partial_.string() + ": " + reason);
  }
  sync_directory(parent_);
}

}  // namespace mxvideo::convert
