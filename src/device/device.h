// Where memory lies and where work runs. No mathematics here: operations choose among the rows of
// their context's device.
//
// Work is launched in an order that the device keeps, as on one stream: it may run at once, later
// on another thread, or never (dry_device.h). Memory that a device hands out is for work that was
// launched on it; other code reads and writes it through upload() and download().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

namespace mxvideo {

// allocate() and deallocate() may be called from several threads; launching is for one thread at a
// time, except on the host's device.
class Device {
 public:
  static constexpr int64_t kAlignment = 64;  // bytes: a cache line, and a 512-bit vector

  virtual ~Device() = default;
  virtual const char* name() const = 0;
  // Throws Code::kOutOfMemory. `bytes` may be 0. The contents are undefined.
  virtual std::byte* allocate(int64_t bytes) = 0;
  // Work that was launched before may still use the memory.
  virtual void deallocate(std::byte* data, int64_t bytes) noexcept = 0;
  // Bytes handed out and not yet returned.
  virtual int64_t allocated_bytes() const = 0;
  // Highest allocated_bytes() since start or the last reset_peak_allocated_bytes().
  virtual int64_t peak_allocated_bytes() const = 0;
  virtual void reset_peak_allocated_bytes() = 0;

  // Whether work runs at all. Without, downloads give zeros.
  virtual bool computes() const { return true; }

  // Runs `work`, which is copyable and holds all that it needs, after what was launched before.
  template <class Work>
  void launch(Work&& work) {
    if (runs_at_once()) {
      work();
    } else {
      submit(std::forward<Work>(work));
    }
  }
  // Returns when everything that was launched has run; throws what it threw.
  virtual void synchronize() {}

  // To this device's memory; `from` may change when it returns.
  virtual void upload(std::byte* to, const std::byte* from, int64_t bytes) = 0;
  // From this device's memory, after what was launched before; `to` holds the bytes on return.
  virtual void download(std::byte* to, const std::byte* from, int64_t bytes) = 0;
  // Within this device's memory, as work that is launched.
  virtual void copy(std::byte* to, const std::byte* from, int64_t bytes);

 protected:
  virtual bool runs_at_once() const { return true; }
  virtual void submit(std::function<void()> work) { work(); }
};

// The host's memory and processors. Lives as long as the process.
Device& cpu_device();

}  // namespace mxvideo
