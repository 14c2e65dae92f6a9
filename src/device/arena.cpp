#include "device/arena.h"

#include <algorithm>
#include <iterator>

#include "base/checked.h"
#include "base/error.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace mxvideo {
namespace {

// Where nothing lies: the upper bits of an address that x86-64 and 64-bit ARM translate are all
// equal, or a tag.
constexpr uintptr_t kNowhere = (uintptr_t{1} << 62) + (uintptr_t{1} << 61);

// What is not handed out may not be touched, where that can be seen: on the host, whose work has
// run when its memory is given back.
void forbid([[maybe_unused]] const Buffer& block, [[maybe_unused]] const std::byte* data,
            [[maybe_unused]] int64_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  if (&block.device() == &cpu_device()) {
    ASAN_POISON_MEMORY_REGION(data, static_cast<size_t>(bytes));
  }
#endif
}

void permit([[maybe_unused]] const Buffer& block, [[maybe_unused]] const std::byte* data,
            [[maybe_unused]] int64_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  if (&block.device() == &cpu_device()) {
    ASAN_UNPOISON_MEMORY_REGION(data, static_cast<size_t>(bytes));
  }
#endif
}

int64_t piece(int64_t bytes) { return round_up(bytes, Memory::kAlignment); }

}  // namespace

int64_t Placement::take(int64_t bytes) {
  auto best = gaps_.end();
  for (auto gap = gaps_.begin(); gap != gaps_.end(); ++gap) {
    if (gap->second < bytes) continue;
    if (best == gaps_.end() || gap->second < best->second) best = gap;
  }
  if (best == gaps_.end()) {
    const int64_t offset = end_;
    end_ = checked_add(end_, bytes, "planned memory");
    extent_ = std::max(extent_, end_);
    return offset;
  }
  const auto [offset, size] = *best;
  gaps_.erase(best);
  if (size > bytes) gaps_.emplace(offset + bytes, size - bytes);
  return offset;
}

void Placement::give_back(int64_t offset, int64_t bytes) {
  const auto after = gaps_.lower_bound(offset);
  if (after != gaps_.end() && after->first == offset + bytes) {
    bytes += after->second;
    gaps_.erase(after);
  }
  const auto next = gaps_.lower_bound(offset);
  if (next != gaps_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      offset = before->first;
      bytes += before->second;
      gaps_.erase(before);
    }
  }
  if (offset + bytes == end_) {
    end_ = offset;
  } else {
    gaps_.emplace(offset, bytes);
  }
}

Arena::Arena(Device& device, int64_t bytes) : device_(device), block_(device, bytes) {
  forbid(block_, block_.data(), block_.size());
}

Arena::~Arena() { permit(block_, block_.data(), block_.size()); }

std::byte* Arena::allocate(int64_t bytes) {
  check(bytes >= 0, "allocation of negative size");
  if (bytes == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  const int64_t offset = placement_.take(piece(bytes));
  if (block_.size() == 0) return reinterpret_cast<std::byte*>(kNowhere) + offset;
  if (offset + bytes <= block_.size()) {
    permit(block_, block_.data() + offset, bytes);
    return block_.data() + offset;
  }
  placement_.give_back(offset, piece(bytes));
  beyond_ += bytes;
  return device_.allocate(bytes);
}

bool Arena::in_block(const std::byte* data) const {
  return block_.size() == 0 || (data >= block_.data() && data < block_.data() + block_.size());
}

void Arena::deallocate(std::byte* data, int64_t bytes) noexcept {
  if (data == nullptr) return;
  if (!in_block(data)) return device_.deallocate(data, bytes);
  const std::lock_guard lock(mutex_);
  const std::byte* const base =
      block_.size() == 0 ? reinterpret_cast<std::byte*>(kNowhere) : block_.data();
  if (block_.size() > 0) forbid(block_, data, piece(bytes));
  placement_.give_back(data - base, piece(bytes));
}

int64_t Arena::extent() const {
  const std::lock_guard lock(mutex_);
  return placement_.extent();
}

int64_t Arena::beyond_plan() const {
  const std::lock_guard lock(mutex_);
  return beyond_;
}

}  // namespace mxvideo
