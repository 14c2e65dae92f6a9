// How a number is rounded to a narrow element format. Every encoder of this layer takes one.
#pragma once

#include <cstdint>

namespace mxvideo::formats {

enum class ElementRounding : uint8_t {
  kNearestEven,
  kHalfAway,  // msmodelslim, microxcaling "nearest"
};

}  // namespace mxvideo::formats
