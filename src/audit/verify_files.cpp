#include "audit/verify_files.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file/mapped_file.h"
#include "base/parallel.h"
#include "base/sha256.h"
#include "base/text/hex.h"
#include "convert/output/file_record.h"

namespace mxvideo::audit {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunkBytes = size_t{8} << 20;
constexpr int kMaxDepth = 4;
constexpr size_t kMaxFiles = 100'000;

struct Task {
  HashedFile file;
  fs::path path;
  std::string expected;  // hex digest; empty: only the size is known
  std::optional<int64_t> size;
};

bool is_hex(const std::string& text, size_t length) {
  return text.size() == length && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

void run(Task& task) {
  try {
    task.file.bytes = static_cast<int64_t>(fs::file_size(task.path));
    if (task.size && *task.size != task.file.bytes) {
      task.file.problem = "expected " + std::to_string(*task.size) + " bytes by " +
                          task.file.source + ", got " + std::to_string(task.file.bytes);
      return;
    }
    if (task.expected.empty()) return;
    const std::string got =
        task.expected.size() == 40 ? git_blob_id(task.path) : sha256_file(task.path);
    if (got != task.expected) {
      task.file.problem =
          "expected hash " + task.expected + " by " + task.file.source + ", got " + got;
    }
  } catch (const std::exception& error) {
    task.file.problem = error.what();
  }
}

// Regular files and links below `directory`, with what their blob's name promises.
void add_blobs(const fs::path& directory, std::vector<Task>& tasks, FileCheck& check) {
  constexpr auto kFollow = fs::directory_options::follow_directory_symlink;
  std::error_code error;
  size_t seen = 0;
  for (fs::recursive_directory_iterator entry(directory, kFollow, error), end;
       !error && entry != end && seen < kMaxFiles; entry.increment(error), ++seen) {
    if (entry.depth() >= kMaxDepth) entry.disable_recursion_pending();
    if (!entry->is_symlink()) continue;
    const fs::path target = fs::weakly_canonical(entry->path());
    const std::string name = target.filename().string();
    if (target.parent_path().filename() != "blobs" || (!is_hex(name, 64) && !is_hex(name, 40))) {
      continue;
    }
    const std::string relative = entry->path().lexically_relative(directory).string();
    if (!fs::exists(target)) {
      check.problems.push_back(relative + ": its blob " + name + " is not there");
      continue;
    }
    tasks.push_back({.file = {.path = relative, .source = "blob name"},
                     .path = target,
                     .expected = name,
                     .size = std::nullopt});
  }
}

// Downloads that were not finished, in the repository folder of a cache.
void add_unfinished(const fs::path& directory, FileCheck& check) {
  const fs::path snapshots = fs::weakly_canonical(directory).parent_path();
  const fs::path blobs = snapshots.parent_path() / "blobs";
  if (snapshots.filename() != "snapshots" || !fs::is_directory(blobs)) return;
  for (const auto& entry : fs::directory_iterator(blobs)) {
    if (entry.path().extension() == ".incomplete") {
      check.problems.push_back("unfinished download: blobs/" + entry.path().filename().string());
    }
  }
}

void add_records(const fs::path& directory, std::vector<Task>& tasks) {
  const auto records = convert::read_complete_file(directory);
  if (!records) return;
  for (const auto& [name, record] : *records) {
    tasks.push_back({.file = {.path = name, .source = std::string(convert::kCompleteFile)},
                     .path = directory / name,
                     .expected = record.sha256,
                     .size = record.bytes});
  }
}

}  // namespace

std::string git_blob_id(const fs::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  const std::string header = "blob " + std::to_string(bytes.size());
  bool good = context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha1(), nullptr) == 1 &&
              EVP_DigestUpdate(context.get(), header.c_str(), header.size() + 1) == 1;
  for (size_t first = 0; good && first < bytes.size(); first += kChunkBytes) {
    const auto chunk = bytes.subspan(first, std::min(kChunkBytes, bytes.size() - first));
    good = EVP_DigestUpdate(context.get(), chunk.data(), chunk.size()) == 1;
    file.release_pages(first, chunk.size());
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  good = good && EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1;
  check(good, "OpenSSL offers SHA-1");
  return to_hex(std::span(digest).first(size));
}

FileCheck check_files(const fs::path& directory) {
  FileCheck result;
  std::vector<Task> tasks;
  add_records(directory, tasks);
  add_blobs(directory, tasks, result);
  add_unfinished(directory, result);
  // Large ones first, so that the threads end together.
  std::ranges::stable_sort(tasks, std::greater(), [](const Task& task) {
    std::error_code error;
    const auto size = fs::file_size(task.path, error);
    return error ? uintmax_t{0} : size;
  });
  std::atomic<size_t> next{0};
  parallel_for(num_threads(), 1, [&](int64_t, int64_t) {
    for (size_t i = next++; i < tasks.size(); i = next++) run(tasks[i]);
  });
  for (Task& task : tasks) result.files.push_back(std::move(task.file));
  std::ranges::sort(result.files, {}, &HashedFile::path);
  return result;
}

}  // namespace mxvideo::audit
