// A small file system in memory that only this process and its children see, to run out of space
// on. Linux: a mount namespace, as root or in a user namespace. Call it before threads are started.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace mxvideo::test {

// Moves this process into mount (and user) namespaces of its own, once. Returns what the system
// said when it does not allow that; empty on success.
std::string enter_private_mounts();

// A tmpfs over an empty directory, unmounted at the end of the scope. Throws std::runtime_error.
class SmallDisk {
 public:
  SmallDisk(std::filesystem::path directory, int64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // Keeps what is there.
  void resize(int64_t bytes) const;

 private:
  std::filesystem::path directory_;
};

}  // namespace mxvideo::test
