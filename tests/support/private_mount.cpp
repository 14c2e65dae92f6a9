#include "support/private_mount.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace mxvideo::test {
namespace {

std::string failure(const std::string& what) { return what + ": " + std::strerror(errno); }

bool write_line(const char* file, const std::string& line) {
  std::ofstream stream(file);
  stream << line;
  return static_cast<bool>(stream.flush());
}

// Where mounting takes privileges that this user has only in a user namespace.
std::string enter_user_namespace() {
  const std::string user = std::to_string(::getuid());
  const std::string group = std::to_string(::getgid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return failure("unshare");
  const bool mapped = write_line("/proc/self/setgroups", "deny") &&
                      write_line("/proc/self/uid_map", "0 " + user + " 1") &&
                      write_line("/proc/self/gid_map", "0 " + group + " 1");
  return mapped ? "" : failure("mapping the user");
}

std::string enter() {
  if (::unshare(CLONE_NEWNS) != 0) {
    std::string error = enter_user_namespace();
    if (!error.empty()) return error;
  }
  // What is mounted from now on stays here.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return failure("mount");
  return "";
}

std::string size_option(int64_t bytes) { return "size=" + std::to_string(bytes); }

}  // namespace

std::string enter_private_mounts() {
  static const std::string kError = enter();
  return kError;
}

SmallDisk::SmallDisk(std::filesystem::path directory, int64_t bytes)
    : directory_(std::move(directory)) {
  if (::mount("tmpfs", directory_.c_str(), "tmpfs", 0, size_option(bytes).c_str()) != 0) {
    throw std::runtime_error(failure("mount"));
  }
}

SmallDisk::~SmallDisk() { ::umount2(directory_.c_str(), MNT_DETACH); }

void SmallDisk::resize(int64_t bytes) const {
  if (::mount("tmpfs", directory_.c_str(), "tmpfs", MS_REMOUNT, size_option(bytes).c_str()) != 0) {
    throw std::runtime_error(failure("remount"));
  }
}

}  // namespace mxvideo::test
