#include "cli/flags/validators.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>

#include "base/error.h"
#include "base/text/byte_size.h"
#include "base/text/nearest_name.h"

namespace mxvideo::cli {

CLI::Validator is_integer() {
  return CLI::Validator(
      [](const std::string& text) -> std::string {
        int64_t value = 0;
        const char* end = text.data() + text.size();
        const auto [last, error] = std::from_chars(text.data(), end, value);
        if (error == std::errc() && last == end) return "";
        return "expected a whole number of at most 64 bits, got '" + text + "'";
      },
      "");
}

CLI::Validator is_not_empty() {
  return CLI::Validator(
      [](const std::string& text) -> std::string {
        return text.empty() ? "expected a name, got an empty one" : "";
      },
      "");
}

CLI::Validator is_not_blank() {
  return CLI::Validator(
      [](const std::string& text) -> std::string {
        const bool blank = text.find_first_not_of(" \t\r\n\f\v") == std::string::npos;
        return blank ? "expected a text, got an empty one" : "";
      },
      "");
}

CLI::Validator ends_with(const std::string& ending, const std::vector<std::string>& others) {
  return CLI::Validator(
      [ending, others](const std::string& text) -> std::string {
        const std::string extension = std::filesystem::path(text).extension().string();
        const bool known =
            equal_any_case(extension, ending) || !find_any_case(extension, others).empty();
        return known ? "" : "expected a name ending in " + ending + ", got '" + text + "'";
      },
      "");
}

int64_t size_of_flag(const std::string& flag, const std::string& text) {
  try {
    return parse_byte_size(text);
  } catch (const Error& error) {
    throw Error(error.code(), flag + ": " + error.what());
  }
}

CLI::Validator choice_of(std::vector<std::string> names) {
  return CLI::Validator(
      [names = std::move(names)](std::string& text) -> std::string {
        const std::string found = find_any_case(text, names);
        if (found.empty()) {
          return "expected " + join_names(names) + ", got '" + text + "'" +
                 did_you_mean(text, names);
        }
        text = found;
        return "";
      },
      "");
}

}  // namespace mxvideo::cli
