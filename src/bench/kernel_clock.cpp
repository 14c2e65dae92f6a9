#include "bench/kernel_clock.h"

namespace mxvideo::bench {

std::string_view class_of_op(std::string_view op) {
  if (op.starts_with("gemm") || op == "matmul") return "gemm";
  if (op.starts_with("quantize")) return "quantize";
  if (op.starts_with("attention")) return "attention";
  return "rest";
}

void KernelClock::start() {
  current_ = nullptr;
  enter("rest");
}

void KernelClock::enter(std::string_view name) {
  const Clock::time_point now = Clock::now();
  if (current_ != nullptr) *current_ += std::chrono::duration<double>(now - since_).count();
  since_ = now;
  current_ = &seconds_[std::string(name)];
}

void KernelClock::stop() {
  enter("rest");
  current_ = nullptr;
}

std::map<std::string, double> KernelClock::shares() const {
  double total = 0;
  for (const auto& [name, seconds] : seconds_) total += seconds;
  std::map<std::string, double> shares;
  for (const char* name : kKernelClasses) {
    const auto found = seconds_.find(name);
    shares[name] = found == seconds_.end() || total <= 0 ? 0 : found->second / total;
  }
  return shares;
}

}  // namespace mxvideo::bench
