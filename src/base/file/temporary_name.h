// Names that are there only while something is written: files and directories that a second Ctrl-C
// must remove, when destructors will not run. At most 64 at a time. Thread-safe.
#pragma once

#include <filesystem>

#include "base/function_ref.h"

namespace mxvideo {

class TemporaryName {
 public:
  enum class Kind { kFile, kDirectory };

  TemporaryName() = default;
  // Forgets the name; what has it is the owner's to remove.
  ~TemporaryName() { forget(); }
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;

  // Runs make(), which makes the file or directory `path`, says whether it did and throws nothing,
  // and remembers the name: for a signal handler both are one step. errno is make()'s.
  bool create(const std::filesystem::path& path, Kind kind, FunctionRef<bool()> make);
  void forget();

 private:
  int slot_ = -1;
};

// Removes the files in a directory, as far as it can. Async-signal-safe.
void remove_files_in(const char* directory) noexcept;

// Removes what has a remembered name; directories with the files in them. Async-signal-safe, and
// for the end of the process only: nothing is created afterwards, who tries waits.
void remove_open_atomic_files() noexcept;

}  // namespace mxvideo
