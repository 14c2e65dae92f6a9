#include "base/file/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/file/descriptor.h"
#include "base/system/system_error.h"

namespace mxvideo {

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw open_error(path, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw system_error(path, "cannot stat", errno);
  if (!S_ISREG(info.st_mode)) {
    throw Error(Code::kNotFound, path.string() + ": not a regular file");
  }
  size_ = static_cast<size_t>(info.st_size);
  identity_ = {.device = info.st_dev,
               .inode = info.st_ino,
               .size = size_,
               .modified_seconds = info.st_mtim.tv_sec,
               .modified_nanoseconds = info.st_mtim.tv_nsec};
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) throw system_error(path, "cannot map", errno);
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() { unmap(); }

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      identity_(other.identity_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    unmap();
    path_ = std::move(other.path_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    identity_ = other.identity_;
  }
  return *this;
}

void MappedFile::unmap() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release_pages(size_t offset, size_t length) const {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t first = (offset + page - 1) / page * page;
  const size_t last = (offset + length) / page * page;
  if (data_ == nullptr || first >= last || last > size_) return;
  ::madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
}

void MappedFile::check_unchanged() const {
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) throw system_error(path_, "vanished", errno);
  const Identity now = {.device = info.st_dev,
                        .inode = info.st_ino,
                        .size = static_cast<uint64_t>(info.st_size),
                        .modified_seconds = info.st_mtim.tv_sec,
                        .modified_nanoseconds = info.st_mtim.tv_nsec};
  if (now != identity_) {
    throw Error(Code::kIo, path_.string() + ": changed on disk while it was being read");
  }
}

}  // namespace mxvideo
