#include "checkpoint/model_path.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/json.h"
#include "base/text/nearest_name.h"
#include "base/text/quote.h"
#include "checkpoint/containment.h"
#include "checkpoint/shard_index.h"
#include "checkpoint/snapshot.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxIdBytes = 96;
constexpr size_t kMaxRevisionBytes = 255;
constexpr size_t kCommitDigits = 40;
constexpr size_t kShortCommitDigits = 7;  // as git abbreviates

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool is_id_char(char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; }

bool is_id_part(std::string_view part) {
  const auto bad_end = [](char c) { return c == '-' || c == '.'; };
  return !part.empty() && std::all_of(part.begin(), part.end(), is_id_char) &&
         !bad_end(part.front()) && !bad_end(part.back());
}

bool is_repository_id(std::string_view id) {
  if (id.empty() || id.size() > kMaxIdBytes || id.ends_with(".git")) return false;
  if (id.find("--") != id.npos || id.find("..") != id.npos) return false;
  const size_t slash = id.find('/');
  if (slash == id.npos) return is_id_part(id);
  return is_id_part(id.substr(0, slash)) && is_id_part(id.substr(slash + 1));
}

bool is_revision(std::string_view revision) {
  return !revision.empty() && revision.size() <= kMaxRevisionBytes &&
         revision.find("..") == revision.npos && revision.front() != '/' &&
         std::all_of(revision.begin(), revision.end(),
                     [](char c) { return is_id_char(c) || c == '/'; });
}

bool is_hexadecimal(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_commit(std::string_view text) {
  return text.size() == kCommitDigits && is_hexadecimal(text);
}

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// A repository id and revision, as split from the user's text.
struct Request {
  std::string repository;
  std::string revision = "main";
  bool revision_given = false;

  std::string download_command() const {
    return "hf download " + repository + (revision_given ? " --revision " + revision : "");
  }
};

Request parse_request(const std::string& text) {
  const size_t at = text.find('@');
  Request request{.repository = text.substr(0, at)};
  if (!is_repository_id(request.repository)) {
    const bool looks_like_path = text.find('/') != text.npos || text.find('.') == 0;
    throw Error(looks_like_path ? Code::kNotFound : Code::kInvalidArgument,
                "model path '" + printable(text) +
                    "': no such directory, and not a repository id like org/name[@revision]");
  }
  if (at != text.npos) {
    request.revision = text.substr(at + 1);
    request.revision_given = true;
    if (!is_revision(request.revision)) {
      throw Error(Code::kInvalidArgument, "model path '" + printable(text) + "': '" +
                                              printable(request.revision) +
                                              "' is not a branch, tag or commit");
    }
  }
  return request;
}

// "$NAME", "${NAME}" and a leading "~", as the shell would expand them; unknown names stay.
std::string expand(std::string_view text, const Environment& environment) {
  const auto value_of = [&](std::string_view name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  };
  std::string result;
  if (text == "~" || text.starts_with("~/")) {
    result = value_of("HOME").value_or("~");
    text.remove_prefix(1);
  }
  while (!text.empty()) {
    const size_t dollar = text.find('$');
    result += text.substr(0, dollar);
    if (dollar == text.npos) break;
    text.remove_prefix(dollar + 1);
    const bool braced = text.starts_with('{');
    const size_t begin = braced ? 1 : 0;
    const auto* stop = std::find_if(text.begin() + begin, text.end(),
                                    [](char c) { return !is_alphanumeric(c) && c != '_'; });
    const auto end = static_cast<size_t>(stop - text.begin());
    const size_t used = braced && end < text.size() && text[end] == '}' ? end + 1 : end;
    const auto value = value_of(text.substr(begin, end - begin));
    result += value ? *value : "$" + std::string(text.substr(0, used));
    text.remove_prefix(used);
  }
  return result;
}

std::vector<std::string> folder_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The commit that `revision` stands for; nullopt when the cache does not know it.
std::optional<std::string> find_commit(const fs::path& repository, const std::string& revision) {
  const fs::path ref = repository / "refs" / revision;
  if (fs::is_regular_file(ref)) {
    std::string commit = read_file(ref, 4096);
    while (!commit.empty() && (commit.back() == '\n' || commit.back() == '\r')) commit.pop_back();
    if (!is_commit(commit)) {
      throw Error(Code::kCorruptFile, ref.string() + ": expected a commit of 40 hex digits, got '" +
                                          printable(commit, 60) + "'");
    }
    return commit;
  }
  if (is_commit(revision)) return revision;
  if (revision.size() < kShortCommitDigits || !is_hexadecimal(revision)) return std::nullopt;
  std::vector<std::string> commits = folder_names(repository / "snapshots");
  std::erase_if(commits, [&](const std::string& commit) { return !commit.starts_with(revision); });
  if (commits.size() != 1 || !is_commit(commits[0])) return std::nullopt;
  return commits[0];
}

[[noreturn]] void report_absent_revision(const fs::path& repository, const Request& request) {
  const std::vector<std::string> present = folder_names(repository / "snapshots");
  throw Error(Code::kNotFound,
              "model '" + request.repository + "': revision '" + request.revision + "' is not in " +
                  repository.string() +
                  " (snapshots there: " + (present.empty() ? "none" : name_list(present)) +
                  "); get it with: " + request.download_command() +
                  (present.empty()
                       ? ""
                       : ", or name a snapshot: " + request.repository + "@" + present.front()));
}

ResolvedModel open_hugging_face(const fs::path& repository, const Request& request,
                                const ModelNeeds& needs) {
  const std::optional<std::string> commit = find_commit(repository, request.revision);
  if (!commit) report_absent_revision(repository, request);
  const fs::path snapshot = repository / "snapshots" / *commit;
  if (!fs::is_directory(snapshot)) report_absent_revision(repository, request);
  resolve_inside(snapshot, fs::canonical(repository));
  check_snapshot_complete(repository, *commit, needs, request.download_command());
  return {.directory = snapshot,
          .repository = request.repository,
          .revision = request.revision,
          .commit = *commit};
}

fs::path hugging_face_folder(const CacheLocations& caches, const Request& request) {
  return caches.hugging_face / ("models--" + replace_all(request.repository, "/", "--"));
}

// ModelScope keeps plain copies without revisions; dots in names become "___" in newer versions.
std::vector<fs::path> modelscope_folders(const CacheLocations& caches, const Request& request) {
  std::vector<fs::path> folders;
  for (const fs::path& root : caches.modelscope) {
    folders.push_back(root / request.repository);
    const std::string escaped = replace_all(request.repository, ".", "___");
    if (escaped != request.repository) folders.push_back(root / escaped);
  }
  return folders;
}

// org/name of every model in the caches.
std::vector<std::string> cached_models(const CacheLocations& caches) {
  constexpr std::string_view kPrefix = "models--";
  std::vector<std::string> models;
  for (const std::string& folder : folder_names(caches.hugging_face)) {
    if (!folder.starts_with(kPrefix)) continue;
    models.push_back(replace_all(folder.substr(kPrefix.size()), "--", "/"));
  }
  for (const fs::path& root : caches.modelscope) {
    for (const std::string& owner : folder_names(root)) {
      for (const std::string& name : folder_names(root / owner)) {
        models.push_back(owner + "/" + replace_all(name, "___", "."));
      }
    }
  }
  return models;
}

}  // namespace

CacheLocations cache_locations(const Environment& environment) {
  const auto value = [&](std::string_view name) -> fs::path {
    const auto found = environment.find(name);
    return found == environment.end() ? "" : expand(found->second, environment);
  };
  const fs::path home = value("HOME");
  const fs::path user_cache = home.empty() ? fs::path() : home / ".cache";
  CacheLocations caches;
  if (!value("HF_HUB_CACHE").empty()) {
    caches.hugging_face = value("HF_HUB_CACHE");
  } else if (!value("HUGGINGFACE_HUB_CACHE").empty()) {
    caches.hugging_face = value("HUGGINGFACE_HUB_CACHE");
  } else if (!value("HF_HOME").empty()) {
    caches.hugging_face = value("HF_HOME") / "hub";
  } else if (!value("XDG_CACHE_HOME").empty()) {
    caches.hugging_face = value("XDG_CACHE_HOME") / "huggingface" / "hub";
  } else if (!user_cache.empty()) {
    caches.hugging_face = user_cache / "huggingface" / "hub";
  }
  fs::path modelscope = value("MODELSCOPE_CACHE");
  if (modelscope.empty() && !user_cache.empty()) modelscope = user_cache / "modelscope";
  if (!modelscope.empty()) {
    caches.modelscope = {modelscope / "hub" / "models", modelscope / "hub", modelscope / "models",
                         modelscope};
  }
  return caches;
}

bool is_cached_model(const std::string& text, const CacheLocations& caches) {
  const std::string repository = text.substr(0, text.find('@'));
  if (!is_repository_id(repository) || repository.find('/') == repository.npos) return false;
  std::error_code error;
  const Request request{.repository = repository};
  return (!caches.hugging_face.empty() &&
          fs::is_directory(hugging_face_folder(caches, request), error)) ||
         std::ranges::any_of(modelscope_folders(caches, request), [&](const fs::path& folder) {
           return fs::is_directory(folder, error);
         });
}

ResolvedModel resolve_model_path(const std::string& text, const CacheLocations& caches,
                                 const ModelNeeds& needs) {
  if (text.empty() || text.find('\0') != text.npos) {
    throw Error(Code::kInvalidArgument,
                "model path: expected a directory or org/name[@revision], "
                "got '" +
                    printable(text) + "'");
  }
  std::error_code error;
  if (fs::is_directory(text, error)) {
    return {.directory = text, .repository = "", .revision = "", .commit = ""};
  }
  if (fs::exists(text, error)) {
    throw Error(Code::kInvalidArgument,
                "model path '" + printable(text) + "': expected a directory, got a file");
  }
  const Request request = parse_request(text);
  std::vector<std::string> searched;
  if (!caches.hugging_face.empty()) {
    const fs::path repository = hugging_face_folder(caches, request);
    if (fs::is_directory(repository, error)) return open_hugging_face(repository, request, needs);
    searched.push_back(repository.string());
  }
  for (const fs::path& folder : modelscope_folders(caches, request)) {
    if (!request.revision_given && fs::is_directory(folder, error)) {
      return {.directory = folder,
              .repository = request.repository,
              .revision = request.revision,
              .commit = ""};
    }
    searched.push_back(folder.string());
  }
  throw Error(Code::kNotFound, "model '" + request.repository + "': not a directory and not in " +
                                   (searched.empty() ? "any cache" : name_list(searched)) +
                                   "; get it with: " + request.download_command() +
                                   did_you_mean(request.repository, cached_models(caches)));
}

}  // namespace mxvideo::checkpoint
