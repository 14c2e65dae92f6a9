// How far one signal lies from another that it should equal: SQNR, cosine, relative RMS.
//
// Sums are double, made row by row and combined in the order of the rows, so that they have the
// same bits for any number of threads. Not thread-safe; one writer per object.
#pragma once

#include <cstdint>
#include <span>

namespace mxvideo {

class SignalError {
 public:
  // Adds rows of `columns` values each; both spans hold the same number of whole rows.
  void add(std::span<const float> reference, std::span<const float> actual, int64_t columns);

  int64_t count() const { return count_; }
  // 10·log10(sum r² / sum (r − a)²); infinite when nothing differs, NaN never.
  double sqnr_db() const;
  // sum r·a / sqrt(sum r² · sum a²), at most 1; 1 when both are zero, 0 when one is.
  double cosine() const;
  // sqrt(sum (r − a)² / sum r²); 0 when nothing differs, infinite for an error on a zero signal.
  double relative_rms() const;

 private:
  int64_t count_ = 0;
  double signal_ = 0;   // sum r²
  double actual_ = 0;   // sum a²
  double noise_ = 0;    // sum (r − a)²
  double product_ = 0;  // sum r·a
};

}  // namespace mxvideo
