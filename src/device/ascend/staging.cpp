#include "device/ascend/staging.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "device/ascend/cann_error.h"

namespace mxvideo::ascend {
namespace {

struct Copy {
  std::byte* to;
  const std::byte* from;
  int64_t bytes;
  int32_t kind;
};

void copy_async(const CannFunctions& cann, const Copy& copy, AclStream stream) {
  const auto bytes = static_cast<size_t>(copy.bytes);
  const int32_t status = cann.aclrtMemcpyAsync(copy.to, bytes, copy.from, bytes, copy.kind, stream);
  if (status != 0) {
    fail(cann, "aclrtMemcpyAsync",
         std::string(copy.kind == kHostToDevice ? "to" : "from") + " the device, of " +
             std::to_string(bytes) + " bytes",
         status);
  }
}

}  // namespace

Staging::Staging(const CannFunctions& cann) : cann_(cann) {}

Staging::~Staging() {
  for (Slot& slot : slots_) {
    if (slot.data != nullptr) cann_.aclrtFreeHost(slot.data);
  }
}

Staging::Slot& Staging::next() {
  Slot& slot = slots_[turn_++ % slots_.size()];
  if (slot.data == nullptr) {
    void* data = nullptr;
    const int32_t status = cann_.aclrtMallocHost(&data, kBytes);
    if (status != 0) {
      fail(cann_, "aclrtMallocHost", "of " + std::to_string(kBytes) + " bytes", status);
    }
    slot.data = static_cast<std::byte*>(data);
  }
  if (slot.free == nullptr) slot.free = std::make_unique<AclEventOwner>(cann_);
  slot.free->synchronize();
  return slot;
}

void Staging::upload(std::byte* to, const std::byte* from, int64_t bytes, AclStream stream) {
  for (int64_t done = 0; done < bytes; done += kBytes) {
    const int64_t part = std::min(kBytes, bytes - done);
    Slot& slot = next();
    std::memcpy(slot.data, from + done, static_cast<size_t>(part));
    copy_async(cann_, {to + done, slot.data, part, kHostToDevice}, stream);
    slot.free->record(stream);
  }
}

void Staging::download(std::byte* to, const std::byte* from, int64_t bytes, AclStream stream) {
  struct Arriving {
    Slot* slot = nullptr;
    std::byte* to = nullptr;
    int64_t bytes = 0;
    void take() const {
      if (slot == nullptr) return;
      slot->free->synchronize();
      std::memcpy(to, slot->data, static_cast<size_t>(bytes));
    }
  };
  Arriving before;
  for (int64_t done = 0; done < bytes; done += kBytes) {
    Slot& slot = next();
    const Arriving now{&slot, to + done, std::min(kBytes, bytes - done)};
    copy_async(cann_, {slot.data, from + done, now.bytes, kDeviceToHost}, stream);
    slot.free->record(stream);
    before.take();
    before = now;
  }
  before.take();
}

}  // namespace mxvideo::ascend
