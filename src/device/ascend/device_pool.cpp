#include "device/ascend/device_pool.h"

#include <algorithm>

#include "base/checked.h"
#include "device/ascend/cann_error.h"

namespace mxvideo::ascend {
namespace {

// Operators may read up to 32 bytes behind a tensor (document of aclrtMalloc).
constexpr int64_t kBehind = 32;
constexpr int64_t kGrain = 512;
// Larger blocks are of whole huge pages, so that sizes that are nearly equal are one size.
constexpr int64_t kHugePage = int64_t{2} << 20;

}  // namespace

int64_t DevicePool::block_bytes(int64_t bytes) {
  const int64_t wanted = bytes + kBehind;
  return round_up(wanted, wanted >= kHugePage ? kHugePage : kGrain);
}

void* DevicePool::allocate(int64_t bytes) {
  const int64_t block = block_bytes(bytes);
  void* data = nullptr;
  const std::lock_guard lock(mutex_);
  if (const auto found = free_.find(block); found != free_.end() && !found->second.empty()) {
    data = found->second.back();
    found->second.pop_back();
  } else {
    const int32_t status = cann_.aclrtMalloc(&data, static_cast<size_t>(block), kMallocHugeFirst);
    if (status == kMemoryAllocation || status == kBadAlloc || status == kStorageOverLimit) {
      return nullptr;
    }
    if (status != 0) {
      fail(cann_, "aclrtMalloc", "of " + std::to_string(block) + " bytes", status);
    }
  }
  allocated_ += bytes;
  peak_ = std::max(peak_, allocated_);
  return data;
}

void DevicePool::deallocate(void* data, int64_t bytes) noexcept {
  if (data == nullptr) return;
  const std::lock_guard lock(mutex_);
  free_[block_bytes(bytes)].push_back(data);
  allocated_ -= bytes;
}

void DevicePool::trim() noexcept {
  const std::lock_guard lock(mutex_);
  for (auto& [size, blocks] : free_) {
    for (void* data : blocks) cann_.aclrtFree(data);
  }
  free_.clear();
}

int64_t DevicePool::allocated_bytes() const {
  const std::lock_guard lock(mutex_);
  return allocated_;
}

int64_t DevicePool::peak_allocated_bytes() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}

void DevicePool::reset_peak_allocated_bytes() {
  const std::lock_guard lock(mutex_);
  peak_ = allocated_;
}

}  // namespace mxvideo::ascend
