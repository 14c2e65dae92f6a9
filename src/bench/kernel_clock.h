// Which classes of kernels a forward spends its time in, from kernels::Context::on_choice: a call
// counts from the choice of its row to the next choice. Not thread-safe.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <string>
#include <string_view>

namespace mxvideo::bench {

inline constexpr std::array kKernelClasses = {"gemm", "quantize", "attention", "rest"};

// The class of an op of kernels/registry.h.
std::string_view class_of_op(std::string_view op);

class KernelClock {
 public:
  void start();                       // of a forward, in class "rest"
  void enter(std::string_view name);  // a class of kKernelClasses
  void stop();
  // Part of each class in the time between start() and stop(), over all forwards so far.
  std::map<std::string, double> shares() const;

 private:
  using Clock = std::chrono::steady_clock;
  std::map<std::string, double> seconds_;
  double* current_ = nullptr;
  Clock::time_point since_;
};

}  // namespace mxvideo::bench
