#include "cli/flags/command_line.h"

#include <algorithm>
#include <exception>

#include "base/error.h"
#include "base/text/nearest_name.h"
#include "cli/flags/peer_flags.h"

namespace mxvideo::cli {
namespace {

bool is_flag(const std::string& word) { return word.size() > 1 && word.front() == '-'; }

std::string see_help(const CLI::App& command) {
  const std::string name = command_name(command);
  return "see mxvideo " + name + (name.empty() ? "" : " ") + "--help";
}

[[noreturn]] void refuse(const std::string& message) {
  throw Error(Code::kInvalidArgument, message);
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

bool takes_many(const CLI::Option& option) { return option.get_items_expected_max() > 1; }

std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> names_of(const CLI::App& parent) {
  std::vector<std::string> names;
  for (const CLI::App* command : parent.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

CLI::App* find_command(CLI::App& parent, const std::string& name) {
  for (CLI::App* command : parent.get_subcommands({})) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

// Without what follows '='.
std::string flag_name(const std::string& word) {
  return word.starts_with("--") ? word.substr(0, word.find('=')) : word;
}

// The commands that have a flag, "generate, plan and 2 more"; empty without one.
std::string commands_with(const CLI::App& command, const std::string& flag) {
  const CLI::App* root = &command;
  while (root->get_parent() != nullptr) root = root->get_parent();
  std::string names;
  size_t more = 0, shown = 0;
  for (const CLI::App* each : all_commands(*const_cast<CLI::App*>(root))) {
    if (each->get_option_no_throw(flag) == nullptr) continue;
    if (++shown > 3) {
      ++more;
    } else {
      names += (names.empty() ? "" : ", ") + command_name(*each);
    }
  }
  return more == 0 ? names : names + " and " + std::to_string(more) + " more";
}

[[noreturn]] void refuse_flag(const CLI::App& command, const std::string& word) {
  const std::string flag = flag_name(word);
  const std::string name = command_name(command);
  const std::string what =
      name.empty() ? "there is no flag " + flag : name + " has no flag " + flag;
  const std::string others = commands_with(command, flag);
  if (!others.empty()) {
    refuse(what +
           (name.empty() ? "; name the command first: it is a flag of " : "; it is a flag of ") +
           others + "; " + see_help(command));
  }
  const std::string reason = peer_flag_reason(flag);
  if (!reason.empty()) refuse(what + ": " + reason);
  refuse(what + " (" + see_help(command) + ")" + did_you_mean(flag, flags_of(command)));
}

[[noreturn]] void refuse_command(const CLI::App& parent, const std::string& word) {
  const std::string name = command_name(parent);
  const std::string reason = name.empty() ? peer_command_reason(word) : std::string();
  const std::string what = "there is no command '" + (name.empty() ? "" : name + " ") + word + "'";
  if (!reason.empty()) refuse(what + ": " + reason);
  refuse(what + " (" + see_help(parent) + ")" + did_you_mean(word, names_of(parent)));
}

// Where in `words` the command stands: first, or behind flags of it; npos when there is none.
size_t find_command_word(CLI::App& parent, const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    CLI::App* command = find_command(parent, words[i]);
    if (command == nullptr) {
      if (i == 0 && !is_flag(words[i])) return i;
      continue;
    }
    if (i == 0 || !is_flag(words[i - 1])) return i;
    const CLI::Option* before = command->get_option_no_throw(words[i - 1]);
    if (before == nullptr || !takes_value(*before)) return i;
  }
  return std::string::npos;
}

// Reads the words that follow a command.
class ItemReader {
 public:
  ItemReader(CommandLine& line, std::vector<std::string> words)
      : line_(line), command_(*line.command), words_(std::move(words)) {}

  void read() {
    bool flags_end = false;
    while (next_ < words_.size()) {
      const std::string word = words_[next_++];
      if (!flags_end && word == "--") {
        flags_end = true;
      } else if (!flags_end && word.starts_with("--")) {
        read_long(word);
      } else if (!flags_end && is_flag(word)) {
        read_short(word);
      } else {
        read_word(word);
      }
    }
  }

 private:
  void read_long(const std::string& word) {
    const std::string name = flag_name(word);
    CLI::Option* option = command_.get_option_no_throw(name);
    if (option == nullptr) refuse_flag(command_, word);
    CommandItem item{.option = option, .spelling = name, .values = {}};
    if (name.size() < word.size()) {
      item.values.push_back(word.substr(name.size() + 1));
    } else {
      take_values(item);
    }
    add(std::move(item));
  }

  // "-p text", "-ptext", or several of those that take nothing, "-qh".
  void read_short(const std::string& word) {
    const std::string whole = flag_name("-" + word);
    if (word.size() > 2 && command_.get_option_no_throw(whole) != nullptr) {
      refuse(word + ": a flag's whole name takes two dashes: " + whole);
    }
    for (size_t at = 1; at < word.size(); ++at) {
      const std::string name = {'-', word[at]};
      CLI::Option* option = command_.get_option_no_throw(name);
      if (option == nullptr) refuse_flag(command_, at == 1 ? word : name);
      CommandItem item{.option = option, .spelling = name, .values = {}};
      if (takes_value(*option) && at + 1 < word.size()) {
        item.values.push_back(word.substr(at + 1));
        at = word.size();
      } else {
        take_values(item);
      }
      add(std::move(item));
    }
  }

  void take_values(CommandItem& item) {
    if (!takes_value(*item.option)) return;
    if (next_ == words_.size()) {
      refuse(item.spelling + " needs a value; " + see_help(command_));
    }
    const std::string& value = words_[next_];
    if (value.starts_with("--") && command_.get_option_no_throw(flag_name(value)) != nullptr) {
      refuse(item.spelling + " needs a value, got the flag " + value + " (if that is meant: " +
             item.spelling + (item.spelling.starts_with("--") ? "=" : "") + value + ")");
    }
    item.values.push_back(value);
    ++next_;
    while (takes_many(*item.option) && next_ < words_.size() && !is_flag(words_[next_]) &&
           !positional_needed()) {
      item.values.push_back(words_[next_++]);
    }
  }

  // Whether a required positional has no word yet.
  bool positional_needed() const {
    return std::ranges::any_of(command_.get_options(), [&](const CLI::Option* option) {
      return option->get_positional() && option->get_required() &&
             std::ranges::find(line_.items, option, &CommandItem::option) == line_.items.end();
    });
  }

  void read_word(const std::string& word) {
    for (CLI::Option* option : command_.get_options()) {
      if (!option->get_positional()) continue;
      const auto given = std::ranges::find(line_.items, option, &CommandItem::option);
      if (given != line_.items.end() && !takes_many(*option)) continue;
      line_.items.push_back({.option = option, .spelling = "", .values = {word}});
      return;
    }
    const bool after_text = !line_.items.empty() && !line_.items.back().values.empty() &&
                            !takes_many(*line_.items.back().option);
    refuse("unexpected word '" + word + "'" +
           (after_text ? " after the value of " + line_.items.back().spelling +
                             " (several words as one value need quotes)"
                       : "") +
           "; " + see_help(command_));
  }

  void add(CommandItem item) {
    const CLI::App* root = &command_;
    while (root->get_parent() != nullptr) root = root->get_parent();
    line_.wants_all_help |= item.option == command_.get_help_all_ptr();
    line_.wants_version |= item.option == root->get_version_ptr();
    const auto before = std::ranges::find(line_.items, item.option, &CommandItem::option);
    if (before != line_.items.end() && takes_value(*item.option) && !takes_many(*item.option)) {
      const bool same = before->spelling == item.spelling;
      const std::string name = item.option->get_name();
      refuse(name + " is given twice" +
             (same ? "" : ", as " + before->spelling + " and as " + item.spelling));
    }
    line_.items.push_back(std::move(item));
  }

  CommandLine& line_;
  CLI::App& command_;
  std::vector<std::string> words_;
  size_t next_ = 0;
};

// "help", "help VERB", "help bench VERB".
CommandLine read_help(CLI::App& app, const std::vector<std::string>& words) {
  CommandLine line;
  line.command = &app;
  line.wants_help = true;
  for (const std::string& word : words) {
    if (is_flag(word)) continue;
    CLI::App* command = find_command(*line.command, word);
    if (command == nullptr) refuse_command(*line.command, word);
    line.command = command;
  }
  return line;
}

// As CLI11 takes them, last word first.
std::vector<std::string> reversed_words(const CLI::App& command,
                                        const std::vector<CommandItem>& items) {
  std::vector<std::string> words;
  for (const CLI::App* each = &command; each->get_parent() != nullptr; each = each->get_parent()) {
    words.insert(words.begin(), each->get_name());
  }
  for (const CommandItem& item : items) {
    const std::string name =
        item.option->get_lnames().empty() ? "" : "--" + item.option->get_lnames().front();
    if (name.empty()) continue;
    if (!takes_value(*item.option)) {
      words.push_back(item.values.empty() ? name : name + "=" + item.values.front());
      continue;
    }
    words.push_back(name);
    words.insert(words.end(), item.values.begin(), item.values.end());
  }
  std::vector<std::string> positional;
  for (const CommandItem& item : items) {
    if (item.option->get_lnames().empty()) positional.push_back(item.values.front());
  }
  if (!positional.empty()) words.emplace_back("--");
  words.insert(words.end(), positional.begin(), positional.end());
  std::ranges::reverse(words);
  return words;
}

void parse_items(CLI::App& app, CLI::App& command, const std::vector<CommandItem>& items) {
  app.clear();
  app.parse(reversed_words(command, items));
}

// What an option's conversion says of a value, with the variable that brought it.
[[noreturn]] void rethrow_for(const CommandItem& item, const CLI::App& command) {
  const std::string where =
      item.from_environment ? "the environment's " + item.spelling + ": " : std::string();
  try {
    throw;
  } catch (const CLI::ParseError& error) {
    refuse(where + error.what() + "; " + see_help(command));
  } catch (const Error& error) {
    throw Error(error.code(), where + error.what());
  }
}

}  // namespace

std::vector<CLI::App*> all_commands(CLI::App& app) {
  std::vector<CLI::App*> commands;
  for (CLI::App* command : app.get_subcommands({})) {
    commands.push_back(command);
    for (CLI::App* below : all_commands(*command)) commands.push_back(below);
  }
  return commands;
}

std::string command_name(const CLI::App& command) {
  if (command.get_parent() == nullptr) return "";
  const std::string parent = command_name(*command.get_parent());
  return parent + (parent.empty() ? "" : " ") + command.get_name();
}

CommandLine read_command_line(CLI::App& app, std::vector<std::string> words) {
  CommandLine line;
  line.command = &app;
  while (!names_of(*line.command).empty()) {
    const size_t at = find_command_word(*line.command, words);
    if (at == std::string::npos) break;
    CLI::App* command = find_command(*line.command, words[at]);
    if (command == nullptr) refuse_command(*line.command, words[at]);
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
    if (command->get_name() == "help") return read_help(app, words);
    line.command = command;
  }
  const bool asked = std::ranges::any_of(
      words, [](const std::string& word) { return word == "--help" || word == "-h"; });
  line.wants_help = asked || (words.empty() && !names_of(*line.command).empty());
  if (line.wants_help) return line;
  ItemReader(line, std::move(words)).read();
  const bool information = line.wants_all_help || line.wants_version;
  if (!names_of(*line.command).empty() && !information) {
    refuse("a command is missing; " + see_help(*line.command));
  }
  return line;
}

void parse_command_line(CLI::App& app, const CommandLine& line) {
  std::exception_ptr failure;
  try {
    return parse_items(app, *line.command, line.items);
  } catch (...) {
    failure = std::current_exception();
  }
  // CLI11 looks at the options in the order of their declaration. The shortest beginning of the
  // line that fails as well ends with the first bad argument.
  std::vector<CLI::Option*> required;
  for (CLI::Option* option : line.command->get_options()) {
    if (option->get_required()) required.push_back(option->required(false));
  }
  std::vector<CommandItem> beginning;
  for (const CommandItem& item : line.items) {
    beginning.push_back(item);
    try {
      parse_items(app, *line.command, beginning);
    } catch (const std::exception&) {
      rethrow_for(item, *line.command);
    }
  }
  for (CLI::Option* option : required) option->required();
  try {
    std::rethrow_exception(failure);
  } catch (const CLI::ParseError&) {
    rethrow_for({}, *line.command);
  }
}

}  // namespace mxvideo::cli
