#include "cli/environment.h"

#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <sstream>
#include <vector>

#include "checkpoint/model_path.h"

namespace mxvideo::cli {

void name_environment(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::vector<std::string>& names = option->get_lnames();
    if (names.empty() || names.front().starts_with("help")) continue;
    std::string variable = "MXVIDEO_";
    for (char c : names.front()) {
      variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    option->envname(variable);
  }
}

std::filesystem::path find_model(const std::string& text, const std::string& revision) {
  checkpoint::Environment environment;
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME",
                           "MODELSCOPE_CACHE", "HOME"}) {
    if (const char* value = std::getenv(name)) environment[name] = value;
  }
  const std::string full = revision.empty() ? text : text + "@" + revision;
  return checkpoint::resolve_model_path(full, checkpoint::cache_locations(environment)).directory;
}

std::filesystem::path find_model_or_file(const std::string& text, const std::string& revision) {
  if (revision.empty() && std::filesystem::is_regular_file(text)) return text;
  return find_model(text, revision);
}

std::filesystem::path find_program(const std::string& name) {
  const char* value = std::getenv("PATH");
  std::istringstream path(value != nullptr ? value : "");
  for (std::string directory; std::getline(path, directory, ':');) {
    std::filesystem::path file = std::filesystem::path(directory) / name;
    std::error_code error;
    if (std::filesystem::is_regular_file(file, error) && ::access(file.c_str(), X_OK) == 0) {
      return file;
    }
  }
  return {};
}

}  // namespace mxvideo::cli
