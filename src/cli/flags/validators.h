// Checks of single values of flags, for CLI::Option::check() and, where they say so, transform().
// Thread-safe.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace mxvideo::cli {

// A whole number of at most 64 bits; CLI11 itself would saturate longer ones.
CLI::Validator is_integer();
CLI::Validator is_not_empty();
// More than white space.
CLI::Validator is_not_blank();
// A name with this ending, in any case: ".html". `others` end as well as it.
CLI::Validator ends_with(const std::string& ending, const std::vector<std::string>& others = {});

// The value of a flag that is a size in bytes: parse_byte_size(), which names the flag.
int64_t size_of_flag(const std::string& flag, const std::string& text);

// One of `names` in any case, for transform(): the value becomes the name as it is listed.
CLI::Validator choice_of(std::vector<std::string> names);

}  // namespace mxvideo::cli
