#include "support/ascend_stand_in/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "support/ascend_stand_in/handles.h"

namespace ascend_stand_in {
namespace {

// Of all allocations of a process together; small enough for ThreadSanitizer's map of addresses.
constexpr uint64_t kDeviceRange = uint64_t{1} << 40;
constexpr uint64_t kDeviceAlignment = 512;  // aclrtMalloc promises 64
constexpr int kFreshDeviceByte = 0xff;      // NaN in BF16, FP16, FP32, E4M3, E5M2 and E8M0
constexpr int kFreshHostByte = 0xa5;
constexpr size_t kFilledHostBytes = size_t{1} << 20;  // at most: pages behind stay unmade

uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

// A file whose bytes are all those of fresh device memory, as the source of pages that become a
// block's own when they are written: fresh memory costs nothing, however much of it there is.
constexpr uint64_t kFreshBytes = uint64_t{4} << 20;

int fresh_file() {
  static const int file = [] {
    const int made = memfd_create("ascend-stand-in-fresh", MFD_CLOEXEC);
    const std::vector<char> bytes(kFreshBytes, static_cast<char>(kFreshDeviceByte));
    if (made < 0 ||
        ::write(made, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
      std::perror("ascend stand-in: fresh memory");
      std::abort();
    }
    return made;
  }();
  return file;
}

// Null when the system has no memory.
std::byte* map_fresh(uint64_t bytes) {
  void* range = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) return nullptr;
  auto* data = static_cast<std::byte*>(range);
  for (uint64_t done = 0; done < bytes; done += kFreshBytes) {
    const uint64_t part = std::min(kFreshBytes, bytes - done);
    if (mmap(data + done, part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fresh_file(), 0) ==
        MAP_FAILED) {
      munmap(range, bytes);
      return nullptr;
    }
  }
  return data;
}

std::byte* reserve(uint64_t bytes) {
  void* range = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) {
    std::perror("ascend stand-in: reserving addresses");
    std::abort();
  }
  return static_cast<std::byte*>(range);
}

}  // namespace

Handles::Handles() : base_(reserve(kSpan)) {}
Handles::~Handles() { munmap(base_, kSpan); }

void* Handles::next() { return base_ + 64 * ++given_; }

void Handles::clear() {
  tensors.clear();
  scalars.clear();
  int_arrays.clear();
  tensor_lists.clear();
  executors.clear();
}

Block::~Block() {
  if (data != nullptr) munmap(data, mapped);
  if (!device && address != 0) munmap(reinterpret_cast<void*>(address), mapped);
}

Memory::Memory() : device_range_(reserve(kDeviceRange)) {}
Memory::~Memory() { munmap(device_range_, kDeviceRange); }

std::shared_ptr<Block> Memory::allocate_device(size_t bytes) {
  const uint64_t span = round_up(bytes + 32, kDeviceAlignment);  // "padded with 32 bytes"
  if (bytes > kDeviceRange || span > kDeviceRange - device_given_) return nullptr;
  auto block = std::make_shared<Block>();
  block->device = true;
  block->bytes = bytes;
  block->mapped = round_up(bytes, kPage);
  block->data = map_fresh(block->mapped);
  if (block->data == nullptr) return nullptr;
  block->address = reinterpret_cast<uintptr_t>(device_range_) + device_given_;
  device_given_ += span;
  blocks_[block->address] = block;
  return block;
}

std::shared_ptr<Block> Memory::allocate_host(size_t bytes) {
  auto block = std::make_shared<Block>();
  block->bytes = bytes;
  block->mapped = round_up(bytes, kPage);
  const int file = memfd_create("ascend-stand-in", MFD_CLOEXEC);
  if (file < 0) return nullptr;
  void* views[2] = {MAP_FAILED, MAP_FAILED};
  if (ftruncate(file, static_cast<off_t>(block->mapped)) == 0) {
    for (void*& view : views) {
      view = mmap(nullptr, block->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
  }
  close(file);
  if (views[0] == MAP_FAILED || views[1] == MAP_FAILED) {
    for (void* view : views) {
      if (view != MAP_FAILED) munmap(view, block->mapped);
    }
    return nullptr;
  }
  block->data = static_cast<std::byte*>(views[0]);
  block->address = reinterpret_cast<uintptr_t>(views[1]);
  std::memset(views[0], kFreshHostByte, std::min(bytes, kFilledHostBytes));
  blocks_[block->address] = block;
  return block;
}

void Memory::release(const Block& block) { blocks_.erase(block.address); }

std::shared_ptr<Block> Memory::find(uintptr_t address) const {
  auto after = blocks_.upper_bound(address);
  if (after == blocks_.begin()) return nullptr;
  const std::shared_ptr<Block>& block = std::prev(after)->second;
  return block->holds(address, 0) ? block : nullptr;
}

bool Memory::is_device_address(uintptr_t address) const {
  const auto begin = reinterpret_cast<uintptr_t>(device_range_);
  return address >= begin && address - begin < kDeviceRange;
}

void Memory::clear() { blocks_.clear(); }

}  // namespace ascend_stand_in
