#include "base/system/system_error.h"

#include <cerrno>
#include <cstring>
#include <string>

namespace mxvideo {

Code system_code(int error) { return error == ENOMEM ? Code::kOutOfMemory : Code::kIo; }

Error system_error(const std::filesystem::path& path, std::string_view what, int error) {
  return {system_code(error),
          path.string() + ": " + std::string(what) + ": " + std::strerror(error)};
}

Error open_error(const std::filesystem::path& path, int error) {
  const bool absent = error == ENOENT || error == ENOTDIR;
  return {absent ? Code::kNotFound : system_code(error),
          path.string() + ": cannot open: " + std::strerror(error)};
}

}  // namespace mxvideo
