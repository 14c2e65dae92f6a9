#include "convert/read_ahead.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/system/system_error.h"
#include "checkpoint/safetensors.h"

namespace mxvideo::convert {
namespace {

using checkpoint::StoredTensor;

constexpr int64_t kStepBytes = 8 << 20;
constexpr int64_t kAheadBytes = 64 << 20;

// A part of a tensor with the rest of its first and last page.
struct Pages {
  std::byte* begin;
  size_t bytes;
};

Pages pages_of(const StoredTensor& tensor, int64_t first, int64_t count) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::byte* const data = tensor.view.data + first;
  const uintptr_t before = reinterpret_cast<uintptr_t>(data) % page;
  return {const_cast<std::byte*>(data - before), before + static_cast<size_t>(count)};
}

// Reads one byte of every page: what kernels before 5.14 need.
void touch(const Pages& pages) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const volatile std::byte* const data = pages.begin;
  for (size_t i = 0; i < pages.bytes; i += page) static_cast<void>(data[i]);
}

void read(const StoredTensor& tensor, const Pages& pages) {
#ifdef MADV_POPULATE_READ
  while (::madvise(pages.begin, pages.bytes, MADV_POPULATE_READ) != 0) {
    if (errno == EINTR || errno == EAGAIN) continue;
    if (errno == EINVAL) return touch(pages);
    throw system_error(tensor.file->path(), "cannot read", errno);
  }
#else
  static_cast<void>(tensor);
  touch(pages);
#endif
}

}  // namespace

ReadAhead::ReadAhead(const std::vector<const StoredTensor*>& tensors) {
  for (const StoredTensor* tensor : tensors) {
    const int64_t bytes = tensor->view.bytes();
    for (int64_t first = 0; first < bytes; first += kStepBytes) {
      steps_.push_back({tensor, first, std::min(kStepBytes, bytes - first)});
    }
  }
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

bool ReadAhead::wait_for_turn(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  return changed_.wait(lock, stop, [&] { return read_ < wanted_ + kAheadBytes; });
}

void ReadAhead::run(const std::stop_token& stop) {
  try {
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (!wait_for_turn(stop)) return;
      if (i + 1 < steps_.size()) {  // without waiting for it
        const Pages next =
            pages_of(*steps_[i + 1].tensor, steps_[i + 1].first, steps_[i + 1].bytes);
        ::madvise(next.begin, next.bytes, MADV_WILLNEED);
      }
      const Step& step = steps_[i];
      read(*step.tensor, pages_of(*step.tensor, step.first, step.bytes));
      const std::lock_guard lock(mutex_);
      read_ += step.bytes;
      changed_.notify_all();
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    error_ = std::current_exception();
    changed_.notify_all();
  }
}

void ReadAhead::next(int64_t bytes) {
  std::unique_lock lock(mutex_);
  wanted_ += bytes;
  changed_.notify_all();
  changed_.wait(lock, [&] { return read_ >= wanted_ || error_ != nullptr; });
  if (read_ < wanted_) std::rethrow_exception(error_);
}

}  // namespace mxvideo::convert
