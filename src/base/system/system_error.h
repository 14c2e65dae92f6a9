// Errors that the operating system returned, as Error. Thread-safe.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/error.h"

namespace mxvideo {

// Code::kOutOfMemory for what memory would cure, Code::kIo for the rest.
Code system_code(int error);
// "path: what: strerror(error)" under system_code(error).
Error system_error(const std::filesystem::path& path, std::string_view what, int error);
// "path: cannot open: …"; Code::kNotFound when there is no such file.
Error open_error(const std::filesystem::path& path, int error);

}  // namespace mxvideo
