#include "cli/flags/environment.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/text/nearest_name.h"
#include "base/text/quote.h"
#include "checkpoint/containment.h"
#include "checkpoint/model_path.h"
#include "checkpoint/wan/experts.h"

namespace mxvideo::cli {
namespace {

namespace fs = std::filesystem;

checkpoint::CacheLocations local_caches() {
  checkpoint::Environment environment;
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME",
                           "MODELSCOPE_CACHE", "HOME"}) {
    if (const char* value = std::getenv(name)) environment[name] = value;
  }
  return checkpoint::cache_locations(environment);
}

// Where a run wants a whole model and got one of its files.
fs::path directory_of_model_file(const fs::path& file) {
  if (file.filename() == "model_index.json") {
    return file.has_parent_path() ? file.parent_path() : fs::path(".");
  }
  const std::string start = "model path '" + printable(file.string()) + "'";
  if (file.extension() != ".safetensors") {
    throw Error(Code::kInvalidArgument, start + ": expected a directory, got a file");
  }
  const char* expert = checkpoint::expert_of_path(file);
  const bool low = expert != nullptr && std::string_view(expert) == checkpoint::kLowNoiseExpert;
  throw Error(Code::kInvalidArgument,
              start +
                  ": expected the directory of a whole model, got one file; a transformer's "
                  "weights go to " +
                  (low ? "--transformer-2-weights-path" : "--transformer-weights-path") +
                  ", beside a --model-path that has the rest");
}

constexpr std::string_view kPrefix = "MXVIDEO_";

std::string variable_of(const std::string& long_name) {
  std::string variable(kPrefix);
  for (const char c : long_name) {
    variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return variable;
}

// A flag, and one whose variable contradicts it or would change what it means, where `applies` says
// so of their values. `said`: the variable may say more than the flag replaces.
struct Precedence {
  std::string_view flag, variable_of;
  bool (*applies)(const std::string& given, const std::string& variable);
  bool said = false;
};

bool always(const std::string&, const std::string&) { return true; }
bool given_stdout(const std::string& given, const std::string&) { return given == "-"; }
bool variable_is_stdout(const std::string&, const std::string& value) { return value == "-"; }
bool names_a_format(const std::string& given, const std::string&) {
  return given == "-" || given.ends_with('/') || std::filesystem::path(given).has_extension();
}

constexpr std::array kPrecedence = {Precedence{"output", "output-format", names_a_format},
                                    Precedence{"output", "json", given_stdout},
                                    Precedence{"json", "output", variable_is_stdout},
                                    Precedence{"quiet", "progress", always},
                                    Precedence{"progress", "quiet", always},
                                    Precedence{"cfg-scale", "guidance-scale", always, true},
                                    Precedence{"cfg-scale", "guidance-scale-2", always, true},
                                    Precedence{"guidance-scale", "cfg-scale", always, true},
                                    Precedence{"guidance-scale-2", "cfg-scale", always, true}};

// By which rule a flag wins over the variable of `other`; null without one.
const Precedence* rule_for(const CommandItem& flag, const CLI::Option& other,
                           const std::string& value) {
  if (flag.option->get_lnames().empty()) return nullptr;
  const std::string given = flag.values.empty() ? "" : flag.values.front();
  const auto* rule = std::ranges::find_if(kPrecedence, [&](const Precedence& each) {
    return flag.option->get_lnames().front() == each.flag &&
           other.get_lnames().front() == each.variable_of && each.applies(given, value);
  });
  return rule == kPrecedence.end() ? nullptr : rule;
}

bool exclude_each_other(const CLI::Option& a, const CLI::Option& b) {
  return a.get_excludes().contains(const_cast<CLI::Option*>(&b)) ||
         b.get_excludes().contains(const_cast<CLI::Option*>(&a));
}

// The MXVIDEO_ variables that are set, by name.
std::map<std::string, std::string> set_variables() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (!text.starts_with(kPrefix) || equals == std::string_view::npos) continue;
    if (equals + 1 < text.size()) {
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return variables;
}

// Every variable that some command reads, and the variables' names by those of aliases.
struct KnownVariables {
  std::set<std::string> read;
  std::map<std::string, std::string> aliases;
};

void add_known(const CLI::App& command, KnownVariables& known) {
  for (const CLI::Option* option : command.get_options()) {
    const std::string variable = variable_name(*option);
    if (variable.empty()) continue;
    known.read.insert(variable);
    for (const std::string& name : option->get_lnames()) {
      if (variable_of(name) != variable) known.aliases[variable_of(name)] = variable;
    }
  }
}

// By what follows the prefix.
std::string nearest_variable(const std::string& name, const std::set<std::string>& variables) {
  std::vector<std::string> names;
  for (const std::string& variable : variables) names.push_back(variable.substr(kPrefix.size()));
  const std::string nearest = nearest_name(name.substr(kPrefix.size()), names);
  return nearest.empty() ? nearest : std::string(kPrefix) + nearest;
}

[[noreturn]] void refuse_variable(const std::string& name, const KnownVariables& known,
                                  const KnownVariables& own) {
  const std::string shown = "the environment's " + printable(name);
  for (const KnownVariables* names : {&own, &known}) {
    const auto alias = names->aliases.find(name);
    if (alias == names->aliases.end()) continue;
    throw Error(Code::kInvalidArgument,
                shown + " is an alias's name and not read; the variable is " + alias->second);
  }
  std::string nearest;
  for (const KnownVariables* names : {&own, &known}) {
    if (nearest.empty()) nearest = nearest_variable(name, names->read);
  }
  throw Error(Code::kInvalidArgument,
              shown + " is no flag of any command" +
                  (nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
}

}  // namespace

std::string variable_name(const CLI::Option& option) {
  const std::vector<std::string>& names = option.get_lnames();
  if (names.empty() || names.front().starts_with("help") || names.front() == "version") return {};
  return variable_of(names.front());
}

std::vector<std::string> add_environment(CLI::App& app, CommandLine& line) {
  KnownVariables known, own;
  for (const CLI::App* command : all_commands(app)) add_known(*command, known);
  add_known(*line.command, own);
  const std::map<std::string, std::string> variables = set_variables();
  std::vector<std::string> notices;
  for (const auto& [name, value] : variables) {
    if (own.read.contains(name)) continue;
    const auto alias = own.aliases.find(name);
    if (!known.read.contains(name)) refuse_variable(name, known, own);
    if (alias == own.aliases.end()) continue;
    notices.push_back(name + " is not read by " + command_name(*line.command) +
                      ", whose variable is " + alias->second);
  }
  const std::vector<CommandItem> given = line.items;
  for (CLI::Option* option : line.command->get_options()) {
    const auto variable = variables.find(variable_name(*option));
    if (variable == variables.end()) continue;
    const auto winner = std::ranges::find_if(given, [&](const CommandItem& item) {
      return item.option == option || exclude_each_other(*item.option, *option) ||
             rule_for(item, *option, variable->second) != nullptr;
    });
    if (winner != given.end()) {
      const Precedence* rule = rule_for(*winner, *option, variable->second);
      if (winner->option != option && rule != nullptr && rule->said) {
        notices.push_back(variable->first + " is not used: " + winner->spelling + " is given");
      }
      continue;
    }
    line.items.push_back({.option = option,
                          .spelling = variable->first,
                          .values = {variable->second},
                          .from_environment = true});
  }
  return notices;
}

fs::path find_model(const std::string& text, const std::string& revision,
                    const checkpoint::ModelNeeds& needs) {
  if (revision.empty() && fs::is_regular_file(text)) return directory_of_model_file(text);
  const std::string full = revision.empty() ? text : text + "@" + revision;
  return checkpoint::resolve_model_path(full, local_caches(), needs).directory;
}

fs::path find_model_or_file(const std::string& text, const std::string& revision,
                            const checkpoint::ModelNeeds& needs) {
  if (revision.empty() && fs::is_regular_file(text)) return text;
  return find_model(text, revision, needs);
}

fs::path find_part(const std::string& text) {
  if (text.empty() || fs::exists(text)) return text;
  if (!checkpoint::is_cached_model(text, local_caches())) return text;
  return checkpoint::resolve_model_path(text, local_caches(), checkpoint::needs_nothing())
      .directory;
}

fs::path rates_file() {
  const auto directory = [](const char* variable) {
    const char* value = std::getenv(variable);
    return fs::path(value == nullptr ? "" : value);
  };
  fs::path cache = directory("XDG_CACHE_HOME");
  if (!cache.is_absolute()) cache = directory("HOME") / ".cache";
  return cache.is_absolute() ? cache / "mxvideo" / "rates.json" : fs::path();
}

void add_allow_links_flag(CLI::App& app, const std::string& group) {
  app.add_flag_callback(
         "--allow-links", [] { checkpoint::allow_links(true); },
         "Follow symbolic links that lead out of a model's directory or repository")
      ->group(group);
}

fs::path find_program(const std::string& name) {
  const char* value = std::getenv("PATH");
  std::istringstream path(value != nullptr ? value : "");
  for (std::string directory; std::getline(path, directory, ':');) {
    fs::path file = fs::path(directory) / name;
    std::error_code error;
    if (fs::is_regular_file(file, error) && ::access(file.c_str(), X_OK) == 0) {
      return file;
    }
  }
  return {};
}

}  // namespace mxvideo::cli
