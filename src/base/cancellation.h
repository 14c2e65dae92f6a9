// A flag that asks a running generation to stop. cancel() is async-signal-safe and thread-safe.
#pragma once

#include <atomic>

#include "base/error.h"

namespace mxvideo {

class CancellationToken {
 public:
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }
  // Throws Code::kCancelled when cancel() was called.
  void throw_if_cancelled() const {
    if (cancelled()) throw Error(Code::kCancelled, "stopped; nothing was written");
  }

 private:
  std::atomic<bool> cancelled_{false};
};

}  // namespace mxvideo
