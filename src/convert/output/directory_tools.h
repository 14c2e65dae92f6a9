// Steps of the file system that OutputDirectory is made of. Each throws Code::kIo naming the path
// for what the system refuses. Thread-safe: no state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/file/descriptor.h"
#include "base/file/reserved_name.h"

namespace mxvideo::convert {

// Locks a directory against other processes until the descriptor is closed. Throws
// Code::kInvalidArgument when another process holds the lock.
Descriptor lock_directory(const std::filesystem::path& path);
// The same, for a directory that is made when it is not there; the lock is on the directory that
// has this name now, even when a holder renamed its own in between.
Descriptor make_locked_directory(const std::filesystem::path& path);

// Files (everything that is no folder) below `directory`, relative, sorted.
std::vector<std::string> files_below(const std::filesystem::path& directory);
// Removes every file for which keep(relative) is false, and every folder left empty; the directory
// itself stays.
void remove_unless(const std::filesystem::path& directory,
                   const std::function<bool(const std::string&)>& keep);
void sync_directories(const std::filesystem::path& root);

// Bytes that an unprivileged user can still write to the file system of `path`.
uint64_t free_bytes(const std::filesystem::path& path);

// Never replaces anything: Code::kInvalidArgument when `to` exists.
void rename_new(const std::filesystem::path& from, const std::filesystem::path& to);
// Both must exist and change names in one step. Code::kUnsupported on file systems that cannot.
void exchange_names(const std::filesystem::path& a, const std::filesystem::path& b);

// A hard link to `source`, which must be absolute and free of links. Replaces `name`. Throws
// Code::kIo where the file system makes none: between file systems, for files of other users. No
// symbolic link stands in for it: a model must not lead out of its directory.
void link_file(const std::filesystem::path& source, const std::filesystem::path& name);
// Through base/file/atomic_file.h.
void copy_bytes(const std::filesystem::path& source, const std::filesystem::path& name);

}  // namespace mxvideo::convert
