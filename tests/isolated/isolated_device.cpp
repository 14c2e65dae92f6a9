#include "isolated/isolated_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/checked.h"
#include "base/error.h"

namespace mxvideo::test {
namespace {

constexpr int64_t kPage = 4096;
// Addresses are handed out once, so that nothing finds its way back to memory that was freed.
constexpr int64_t kAddresses = int64_t{1} << 40;
// NaN as F32, BF16, F16 and E4M3, and as a scale.
constexpr int kNever = 0xff;

}  // namespace

IsolatedDevice::IsolatedDevice() {
  void* memory = ::mmap(nullptr, static_cast<size_t>(kAddresses), PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(memory != MAP_FAILED, "addresses for the isolated device");
  memory_ = static_cast<std::byte*>(memory);
  thread_ = std::thread([this] { work(); });
}

IsolatedDevice::~IsolatedDevice() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
  ::munmap(memory_, static_cast<size_t>(kAddresses));
}

std::byte* IsolatedDevice::allocate(int64_t bytes) {
  check(bytes >= 0, "allocation of negative size");
  if (bytes == 0) return nullptr;
  std::byte* const data = memory_ + used_;
  used_ += round_up(bytes, kPage) + kPage;  // a page that is never there lies behind
  check(used_ <= kAddresses, "addresses of the isolated device");
  allocated_ += bytes;
  peak_ = std::max(peak_, allocated_);
  submit([data, bytes] { std::memset(data, kNever, static_cast<size_t>(bytes)); });
  return data;
}

void IsolatedDevice::deallocate(std::byte* data, int64_t bytes) noexcept {
  if (data == nullptr) return;
  allocated_ -= bytes;
  submit([data, bytes] {
    ::madvise(data, static_cast<size_t>(round_up(bytes, kPage)), MADV_DONTNEED);
  });
}

void IsolatedDevice::protect(int protection) {
  if (used_ == 0) return;
  check(::mprotect(memory_, static_cast<size_t>(used_), protection) == 0,
        "protection of the isolated device's memory");
}

void IsolatedDevice::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return running_ || ends_; });
    if (!running_) return;
    while (!queue_.empty() && error_ == nullptr) {
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      try {
        work();
      } catch (...) {
        error_ = std::current_exception();
      }
    }
    queue_.clear();
    running_ = false;
    changed_.notify_all();
  }
}

void IsolatedDevice::synchronize() {
  if (queue_.empty()) return;
  protect(PROT_READ | PROT_WRITE);
  {
    std::unique_lock lock(mutex_);
    running_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !running_; });
  }
  protect(PROT_NONE);
  if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
}

void IsolatedDevice::upload(std::byte* to, const std::byte* from, int64_t bytes) {
  const auto copy = std::make_shared<std::vector<std::byte>>(from, from + bytes);
  submit([to, copy] {
    if (!copy->empty()) std::memcpy(to, copy->data(), copy->size());
  });
}

void IsolatedDevice::download(std::byte* to, const std::byte* from, int64_t bytes) {
  submit([=] {
    if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
  });
  synchronize();
}

}  // namespace mxvideo::test
