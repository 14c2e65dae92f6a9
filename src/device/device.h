// Where memory lies and where work runs. No mathematics here: operations choose among the rows of
// their context's device.
//
// A device is its own main stream: work runs in the order in which it is launched, at once, later
// on another thread, or never (dry_device.h). Memory that a device hands out is for work that was
// launched on it; other code reads and writes it through upload() and download().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "device/memory.h"
#include "device/stream.h"
#include "formats/dtype.h"

namespace mxvideo {

// Whose rows run: every operation has rows by kind of device (kernels/common/kernel_table.h).
enum class DeviceKind : uint8_t { kCpu, kAscend };
// "cpu", "ascend"
const char* device_kind_name(DeviceKind kind) noexcept;

// allocate() and deallocate() may be called from several threads; launching is for one thread at a
// time, except on the host's device.
class Device : public Memory, public Stream {
 public:
  virtual const char* name() const = 0;
  virtual DeviceKind kind() const { return DeviceKind::kCpu; }
  // Of what lies between the layers of a model, F32 or BF16; sums that layers add to, tables and
  // latents are F32 everywhere.
  virtual DType activation_type() const { return DType::kF32; }
  Device& device() final { return *this; }

  // Bytes handed out and not yet returned.
  virtual int64_t allocated_bytes() const = 0;
  // Highest allocated_bytes() since start or the last reset_peak_allocated_bytes().
  virtual int64_t peak_allocated_bytes() const = 0;
  virtual void reset_peak_allocated_bytes() = 0;
  // Whether work runs at all. Without, downloads give zeros.
  virtual bool computes() const { return true; }

  // From this device's memory, after what was launched before; `to` holds the bytes on return.
  virtual void download(std::byte* to, const std::byte* from, int64_t bytes) = 0;
  // Within this device's memory, as work that is launched.
  virtual void copy(std::byte* to, const std::byte* from, int64_t bytes);

  // An order of its own beside the main one, as for copies while the device computes.
  virtual std::unique_ptr<Stream> make_stream();
  void synchronize() override {}
  std::shared_ptr<Event> record() override;
  void wait(const std::shared_ptr<Event>& event) override;

 protected:
  bool runs_at_once() const override { return true; }
  void submit(std::function<void()> work) override { work(); }
};

// The host's memory and processors. Lives as long as the process.
Device& cpu_device();

}  // namespace mxvideo
