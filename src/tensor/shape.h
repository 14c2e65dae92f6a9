// Dimensions of a row-major tensor, outermost first. At most kMaxRank of them, none negative.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace mxvideo {

class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  // Throw Code::kInvalidArgument on a negative dimension or too many of them.
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return dims_[static_cast<size_t>(axis)]; }
  std::span<const int64_t> dims() const { return {dims_.data(), static_cast<size_t>(rank_)}; }

  // Product of the dimensions, 1 for rank 0. Throws Code::kInvalidArgument when it leaves int64.
  int64_t count() const;
  std::string to_string() const;  // "[5120, 160]"
  bool operator==(const Shape& other) const;

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

}  // namespace mxvideo
