// Working memory of a stage, which its work was planned to need: one block of a device, handed out
// in pieces. A piece that is given back is free for work that is launched afterwards, as the order
// of the device's main stream has it, so that a steady state asks the device for nothing.
//
// Thread-safe, as a device's memory is: work gives its pieces back where it runs.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "device/buffer.h"
#include "device/device.h"

namespace mxvideo {

// Offsets of pieces in a block: the smallest gap that a piece fits, the first of equal ones.
// Deterministic, so that a plan and what it plans agree byte for byte.
class Placement {
 public:
  // `bytes` > 0. Beyond every piece where no gap is large enough.
  int64_t take(int64_t bytes);
  void give_back(int64_t offset, int64_t bytes);
  // End of the highest piece there ever was.
  int64_t extent() const { return extent_; }

 private:
  std::map<int64_t, int64_t> gaps_;  // offset -> bytes; no two touch, none reaches extent_'s end
  int64_t end_ = 0;                  // of the highest piece there is
  int64_t extent_ = 0;
};

class Arena final : public Memory {
 public:
  // A plan: takes nothing of the device, and hands out addresses at which nothing lies. For the
  // dry device.
  explicit Arena(Device& device) : device_(device) {}
  // Throws Code::kOutOfMemory.
  Arena(Device& device, int64_t bytes);
  ~Arena() override;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  Device& device() override { return device_; }
  std::byte* allocate(int64_t bytes) override;
  void deallocate(std::byte* data, int64_t bytes) noexcept override;

  // Bytes that a block needs for all that was handed out.
  int64_t extent() const;
  // Of them, what the device itself gave because the block had no room: more than was planned.
  int64_t beyond_plan() const;

 private:
  bool in_block(const std::byte* data) const;

  Device& device_;
  Buffer block_;
  mutable std::mutex mutex_;
  Placement placement_;
  int64_t beyond_ = 0;
};

}  // namespace mxvideo
