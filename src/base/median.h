// The median of measured values, as every report here means it.
#pragma once

#include <vector>

namespace mxvideo {

// The lower one of the two in the middle of an even number. `values` must not be empty.
double lower_median(std::vector<double> values);

}  // namespace mxvideo
