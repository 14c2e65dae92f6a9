#include "device/device.h"

#include <cstring>

namespace mxvideo {

void Device::copy(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes == 0) return;
  launch([=] { std::memcpy(to, from, static_cast<size_t>(bytes)); });
}

}  // namespace mxvideo
