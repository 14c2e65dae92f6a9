#include "device/dry_device.h"

#include "base/checked.h"
#include "base/error.h"

namespace mxvideo {
namespace {

// Half of all addresses, in a part that no process can map: the upper bits of an address that
// x86-64 and 64-bit ARM translate are all equal, or a tag.
constexpr uintptr_t kFirstAddress = uintptr_t{1} << 62;

}  // namespace

std::byte* DryDevice::allocate(int64_t bytes) {
  check(bytes >= 0, "allocation of negative size");
  if (bytes == 0) return nullptr;
  const int64_t offset = handed_out_;
  handed_out_ = (handed_out_ + round_up(bytes, kAlignment)) % (int64_t{1} << 61);
  allocated_ = checked_add(allocated_, bytes, "planned memory");
  peak_ = std::max(peak_, allocated_);
  return reinterpret_cast<std::byte*>(kFirstAddress + static_cast<uintptr_t>(offset));
}

}  // namespace mxvideo
