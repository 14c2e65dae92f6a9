// The text of --help: names of flags on the left, what they do on the right, at most 100 columns.
// Thread-safe.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace mxvideo::cli {

class HelpText : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;
  std::string make_description(const CLI::App* command) const override;
  std::string make_footer(const CLI::App* command) const override;
};

}  // namespace mxvideo::cli
