// Copies between the host and the NPU through two pinned blocks, so that the host fills one while
// the other travels. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "device/ascend/acl_tensor.h"

namespace mxvideo::ascend {

class Staging {
 public:
  explicit Staging(const CannFunctions& cann);
  // Nothing may travel any more.
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // In the order of `stream`; `from` may change when it returns.
  void upload(std::byte* to, const std::byte* from, int64_t bytes, AclStream stream);
  // `to` holds the bytes on return, and what was launched on `stream` before has run.
  void download(std::byte* to, const std::byte* from, int64_t bytes, AclStream stream);

 private:
  static constexpr int64_t kBytes = int64_t{16} << 20;  // of a slot

  struct Slot {
    std::byte* data = nullptr;
    std::unique_ptr<AclEventOwner> free;  // when the last copy from or to it is done
  };
  Slot& next();

  const CannFunctions& cann_;
  std::array<Slot, 2> slots_;
  size_t turn_ = 0;
};

}  // namespace mxvideo::ascend
