#include "cli/flags/help_text.h"

#include <vector>

#include "cli/flags/environment.h"

namespace mxvideo::cli {
namespace {

constexpr size_t kWidth = 96;  // --help-all indents commands by two, and theirs by two more
constexpr size_t kNamesWidth = 28;

// Words from `text` in lines of at most `width`; `breaks` are the characters after which a line may
// end.
std::vector<std::string> wrap(const std::string& text, size_t width, char breaks) {
  std::vector<std::string> lines(1);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end =
        std::min(text.find_first_of(std::string(1, breaks) + "\n", begin), text.size() - 1);
    std::string word = text.substr(begin, end + 1 - begin);
    const bool ends_line = word.ends_with('\n');
    if (ends_line) word.pop_back();
    const size_t blanks = word.ends_with(' ') ? 1 : 0;
    if (!lines.back().empty() && lines.back().size() + word.size() - blanks > width) {
      lines.emplace_back();
    }
    lines.back() += word;
    if (ends_line) lines.emplace_back();
    begin = end + 1;
  }
  for (std::string& line : lines) line.erase(line.find_last_not_of(' ') + 1);
  return lines;
}

std::string indented(const std::vector<std::string>& lines, size_t indent) {
  std::string text;
  for (const std::string& line : lines) text += std::string(indent, ' ') + line + "\n";
  return text;
}

// Names in the left column, on lines of their own where they are longer than it.
std::string two_columns(const std::string& names, const std::string& text) {
  const std::vector<std::string> left = wrap(names, kWidth - 2, ',');
  const std::string right = indented(wrap(text, kWidth - kNamesWidth - 2, ' '), kNamesWidth + 2);
  if (left.size() > 1 || left.front().size() >= kNamesWidth) return indented(left, 2) + right;
  const std::string name = "  " + left.front();
  return name + right.substr(name.size());
}

// What follows the description: "(required)", "(default: 20)", "[MXVIDEO_FPS]".
std::string details(const CLI::Option& option) {
  std::string text;
  const bool valued = option.get_items_expected_max() > 0;
  if (valued && option.get_required()) text += " (required)";
  if (valued && !option.get_default_str().empty()) {
    text += " (default: " + option.get_default_str() + ")";
  }
  std::string others;
  for (const CLI::Option* other : option.get_excludes()) {
    others += (others.empty() ? "" : ", ") + other->get_name();
  }
  if (!others.empty()) text += " (not with " + others + ")";
  const std::string variable = variable_name(option);
  return variable.empty() ? text : text + " [" + variable + "]";
}

std::string value_name(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return "";
  const std::string& type = option.get_type_name();
  return " " + type.substr(0, type.find(':')) + (option.get_items_expected_max() > 1 ? " ..." : "");
}

}  // namespace

std::string HelpText::make_option(const CLI::Option* option, bool is_positional) const {
  return two_columns(make_option_name(option, is_positional) + value_name(*option),
                     option->get_description() + details(*option));
}

std::string HelpText::make_subcommand(const CLI::App* command) const {
  return two_columns(command->get_name(), command->get_description());
}

std::string HelpText::make_description(const CLI::App* command) const {
  return indented(wrap(command->get_description(), kWidth, ' '), 0);
}

std::string HelpText::make_footer(const CLI::App* command) const {
  const std::string footer = command->get_footer();
  return footer.empty() ? "" : indented(wrap(footer, kWidth, ' '), 0);
}

}  // namespace mxvideo::cli
