// Blocks of device and of pinned host memory.
//
// A device block's address lies in a range that is mapped without access; its bytes are elsewhere,
// known to the stand-in only. Addresses are never given twice. A host block is mapped twice: where
// the program uses it, page by page protected while a copy is queued, and where the stand-in does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

namespace ascend_stand_in {

inline constexpr uintptr_t kPage = 4096;

struct Block {
  uintptr_t address = 0;
  size_t bytes = 0;
  size_t mapped = 0;
  std::byte* data = nullptr;  // for the stand-in
  bool device = false;

  Block() = default;
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  bool holds(uintptr_t begin, size_t count) const {
    return begin >= address && count <= bytes && begin - address <= bytes - count;
  }
  std::byte* at(uintptr_t where) const { return data + (where - address); }
};

class Memory {
 public:
  Memory();
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Null when the system has no memory.
  std::shared_ptr<Block> allocate_device(size_t bytes);
  std::shared_ptr<Block> allocate_host(size_t bytes);
  void release(const Block& block);
  // The block that `address` points into or, with count 0, just behind; null when there is none.
  std::shared_ptr<Block> find(uintptr_t address) const;
  // Whether the address is or was one of the device.
  bool is_device_address(uintptr_t address) const;
  void clear();

 private:
  std::map<uintptr_t, std::shared_ptr<Block>> blocks_;  // by address
  std::byte* device_range_;
  uint64_t device_given_ = 0;
};

}  // namespace ascend_stand_in
