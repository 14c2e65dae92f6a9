#include "base/signal_error.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"

namespace mxvideo {
namespace {

struct RowSums {
  double signal = 0, actual = 0, noise = 0, product = 0;
};

RowSums row_sums(const float* reference, const float* actual, int64_t columns) {
  RowSums sums;
  for (int64_t i = 0; i < columns; ++i) {
    const double r = reference[i], a = actual[i];
    sums.signal += r * r;
    sums.actual += a * a;
    sums.noise += (r - a) * (r - a);
    sums.product += r * a;
  }
  return sums;
}

}  // namespace

void SignalError::add(std::span<const float> reference, std::span<const float> actual,
                      int64_t columns) {
  check(columns > 0 && reference.size() == actual.size() &&
            static_cast<int64_t>(reference.size()) % columns == 0,
        "both signals have the same number of whole rows");
  const int64_t rows = static_cast<int64_t>(reference.size()) / columns;
  std::vector<RowSums> sums(static_cast<size_t>(rows));
  parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      sums[static_cast<size_t>(r)] =
          row_sums(reference.data() + r * columns, actual.data() + r * columns, columns);
    }
  });
  for (const RowSums& row : sums) {
    signal_ += row.signal;
    actual_ += row.actual;
    noise_ += row.noise;
    product_ += row.product;
  }
  count_ += rows * columns;
}

double SignalError::sqnr_db() const {
  if (noise_ == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal_ / noise_);
}

double SignalError::cosine() const {
  if (noise_ == 0) return 1;
  if (signal_ == 0 || actual_ == 0) return 0;
  return std::clamp(product_ / (std::sqrt(signal_) * std::sqrt(actual_)), -1.0, 1.0);
}

double SignalError::relative_rms() const { return noise_ == 0 ? 0 : std::sqrt(noise_ / signal_); }

}  // namespace mxvideo
