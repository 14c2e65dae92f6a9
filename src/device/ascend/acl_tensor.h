// What CANN's operators take, as values: views of device memory, and the arguments of a call; and
// owners of what CANN makes of them. Owners are move-only and not thread-safe.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "device/ascend/cann_library.h"

namespace mxvideo::ascend {

// Elements in device memory; strides in elements, all positive or 0 (repeated).
struct AclView {
  static constexpr int kMaxRank = 8;

  // Dense, row-major.
  AclView(const void* address, AclType element, std::initializer_list<int64_t> extents);
  AclView(const void* address, AclType element, std::span<const int64_t> extents);
  // With strides of its own.
  AclView(const void* address, AclType element, std::span<const int64_t> extents,
          std::span<const int64_t> steps);
  // The same in another format.
  AclView in(AclFormat other) const;

  int64_t count() const;
  bool dense() const;
  // CANN wants addresses that are multiples of 32: the nearest one, and the elements from there on.
  void* base() const;
  int64_t offset() const;
  // "[2, 64] BF16", with strides where it is not dense.
  std::string in_words() const;

  void* data = nullptr;
  AclType type = AclType::kFloat;
  AclFormat format = AclFormat::kNd;
  int rank = 0;
  std::array<int64_t, kMaxRank> dims = {};
  std::array<int64_t, kMaxRank> strides = {};
};

int64_t type_size(AclType type) noexcept;
const char* type_name(AclType type) noexcept;

// An argument of an operator; refers to what it was made of.
struct OperatorArgument {
  enum class Kind : uint8_t {
    kAbsent,  // a null pointer
    kInput,
    kOutput,
    kInputList,  // a list of one tensor
    kInteger,
    kReal,
    kScalar,  // of type fp32
    kIntegers,
    kText,
  };
  Kind kind = Kind::kAbsent;
  const AclView* view = nullptr;
  int64_t integer = 0;
  double real = 0;
  const char* text = nullptr;
  std::span<const int64_t> integers = {};

  OperatorArgument(std::nullptr_t) {}  // NOLINT(google-explicit-constructor): a parameter type
  OperatorArgument(std::integral auto value)  // NOLINT(google-explicit-constructor)
      : kind(Kind::kInteger), integer(static_cast<int64_t>(value)) {}
  OperatorArgument(double value)  // NOLINT(google-explicit-constructor)
      : kind(Kind::kReal), real(value) {}
  OperatorArgument(AclType value)  // NOLINT(google-explicit-constructor)
      : kind(Kind::kInteger), integer(static_cast<int64_t>(value)) {}
  OperatorArgument(const char* value)  // NOLINT(google-explicit-constructor)
      : kind(Kind::kText), text(value) {}
  OperatorArgument(Kind what, const AclView* where) : kind(what), view(where) {}
  OperatorArgument(Kind what, double value) : kind(what), real(value) {}
  explicit OperatorArgument(std::span<const int64_t> values)
      : kind(Kind::kIntegers), integers(values) {}

  std::string in_words() const;
};

inline OperatorArgument in(const AclView& view) { return {OperatorArgument::Kind::kInput, &view}; }
inline OperatorArgument in_list(const AclView& view) {
  return {OperatorArgument::Kind::kInputList, &view};
}
inline OperatorArgument out(const AclView& view) {
  return {OperatorArgument::Kind::kOutput, &view};
}
inline OperatorArgument scalar(double value) { return {OperatorArgument::Kind::kScalar, value}; }
inline OperatorArgument integers(const std::initializer_list<int64_t>& values) {
  return OperatorArgument(std::span<const int64_t>(values.begin(), values.size()));
}

// An argument as CANN has it, owned. Throws Code::kDevice when CANN makes nothing.
class AclArgument {
 public:
  AclArgument(const CannFunctions& cann, const OperatorArgument& argument);
  ~AclArgument() { destroy(); }
  AclArgument(AclArgument&& other) noexcept
      : cann_(other.cann_),
        kind_(other.kind_),
        handle_(std::exchange(other.handle_, nullptr)),
        integer_(other.integer_),
        real_(other.real_),
        text_(std::move(other.text_)) {}
  AclArgument& operator=(AclArgument&&) = delete;

  OperatorArgument::Kind kind() const { return kind_; }
  void* handle() const { return handle_; }

  // The value of a parameter of type Parameter.
  template <class Parameter>
  Parameter as() {
    if constexpr (std::is_same_v<Parameter, char*>)
      return text_.empty() ? nullptr : text_.data();
    else if constexpr (std::is_pointer_v<Parameter>)
      return static_cast<Parameter>(handle_);
    else if constexpr (std::is_same_v<Parameter, double>)
      return real_;
    else
      return static_cast<Parameter>(integer_);
  }

 private:
  void destroy() noexcept;

  const CannFunctions* cann_;
  OperatorArgument::Kind kind_;
  void* handle_ = nullptr;
  int64_t integer_ = 0;
  double real_ = 0;
  std::string text_;
};

// Streams and events.
class AclStreamOwner {
 public:
  explicit AclStreamOwner(const CannFunctions& cann);
  ~AclStreamOwner();
  AclStreamOwner(const AclStreamOwner&) = delete;
  AclStreamOwner& operator=(const AclStreamOwner&) = delete;
  AclStream get() const { return stream_; }
  void synchronize() const;
  // Where nobody could be told of a failure.
  void synchronize_quietly() const noexcept { cann_.aclrtSynchronizeStream(stream_); }

 private:
  const CannFunctions& cann_;
  AclStream stream_ = nullptr;
};

class AclEventOwner {
 public:
  explicit AclEventOwner(const CannFunctions& cann);
  ~AclEventOwner();
  AclEventOwner(const AclEventOwner&) = delete;
  AclEventOwner& operator=(const AclEventOwner&) = delete;
  void record(AclStream stream);
  // `stream` goes on when what was recorded is done; nothing where nothing was.
  void hold(AclStream stream) const;
  // The host waits, likewise.
  void synchronize() const;

 private:
  const CannFunctions& cann_;
  AclEvent event_ = nullptr;
  bool recorded_ = false;
};

}  // namespace mxvideo::ascend
