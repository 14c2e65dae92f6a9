#include "base/version.h"

#include <iostream>

#include "cli/commands/commands.h"

namespace mxvideo::cli {

Command add_version(CLI::App& app) {
  app.add_subcommand("version", "Print the version");
  return [] { std::cout << "mxvideo " << version() << "\n"; };
}

}  // namespace mxvideo::cli
