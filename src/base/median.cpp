#include "base/median.h"

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace mxvideo {

double lower_median(std::vector<double> values) {
  check(!values.empty(), "a median of at least one value");
  const auto middle = values.begin() + static_cast<int64_t>((values.size() - 1) / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace mxvideo
