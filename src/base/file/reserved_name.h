// Steps of making a name the result of one writer only: locks on the temporary name, renames that
// replace nothing. Used by AtomicFile and AtomicDirectory. Thread-safe: no state.
#pragma once

#include <filesystem>

#include "base/file/descriptor.h"

namespace mxvideo {

// What becomes of a file that has the name of a result already.
enum class Existing : uint8_t { kReplace, kKeep };

// The temporary name of the only writer of `path`: "<path>.partial-mxvideo".
std::filesystem::path reserved_name(const std::filesystem::path& path);

// Makes the file or directory `name` and locks it (flock) until the descriptor is closed. One that
// a killed process left is taken over, emptied. -1 and errno when it cannot; EWOULDBLOCK: another
// writer has it. Throws nothing.
Descriptor take_file_name(const std::filesystem::path& name) noexcept;
Descriptor take_directory_name(const std::filesystem::path& name) noexcept;

// True when anything has this name, dangling links included.
bool name_exists(const std::filesystem::path& path);

// False when `to` is there already. Throws as system_error().
bool rename_if_absent(const std::filesystem::path& from, const std::filesystem::path& to);
// Renames to `to` or, where that was made meanwhile, to the first free one of "to-2", "to-3" …
// before the extension. Returns the new name.
std::filesystem::path rename_to_free_name(const std::filesystem::path& from,
                                          const std::filesystem::path& to);

}  // namespace mxvideo
