#include "checkpoint/containment.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "base/text/field.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;

std::atomic<bool> links_allowed = false;

// True for a folder of the cache's form: snapshots and what they are made of.
bool is_repository(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder / "snapshots", error)) return false;
  return folder.filename().string().starts_with("models--") ||
         (fs::is_directory(folder / "blobs", error) && fs::is_directory(folder / "refs", error));
}

}  // namespace

fs::path containment_root(const fs::path& directory) {
  std::error_code error;
  fs::path canonical = fs::canonical(directory, error);
  if (error) {
    throw Error(Code::kNotFound, directory.string() + ": no such directory: " + error.message());
  }
  for (fs::path folder = canonical; folder.has_relative_path(); folder = folder.parent_path()) {
    if (is_repository(folder)) return folder;
  }
  return canonical;
}

fs::path resolve_inside(const fs::path& file, const fs::path& root) {
  std::error_code error;
  fs::path canonical = fs::canonical(file, error);
  if (error) throw Error(Code::kNotFound, file.string() + ": " + error.message());
  const auto mismatch = std::mismatch(root.begin(), root.end(), canonical.begin(), canonical.end());
  if (mismatch.first != root.end() && !links_allowed) {
    throw Error(Code::kUnsupported,
                file.string() + ": is a link to " + canonical.string() + ", which is outside of " +
                    root.string() + "; " + field("allow_links") +
                    " follows it if you trust whoever made it, or copy the file");
  }
  return canonical;
}

void allow_links(bool allowed) { links_allowed = allowed; }

}  // namespace mxvideo::checkpoint
