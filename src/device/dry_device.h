// A device that only counts: it hands out addresses at which nothing lies and runs no work. A
// forward pass on it allocates, frees and chooses what it would anywhere else, so that its peak is
// what the pass needs, and a read or write of an element ends the process. It stands for a device
// of one kind, whose rows are chosen. Must outlive what it handed out, as every device. Not
// thread-safe.
#pragma once

#include <algorithm>

#include "device/device.h"

namespace mxvideo {

class DryDevice final : public Device {
 public:
  explicit DryDevice(const Device& of = cpu_device())
      : kind_(of.kind()), activation_type_(of.activation_type()) {}

  const char* name() const override { return "dry"; }
  DeviceKind kind() const override { return kind_; }
  DType activation_type() const override { return activation_type_; }
  std::byte* allocate(int64_t bytes) override;
  void deallocate(std::byte* /*data*/, int64_t bytes) noexcept override { allocated_ -= bytes; }
  int64_t allocated_bytes() const override { return allocated_; }
  int64_t peak_allocated_bytes() const override { return peak_; }
  void reset_peak_allocated_bytes() override { peak_ = allocated_; }

  bool computes() const override { return false; }
  void upload(std::byte* /*to*/, const std::byte* /*from*/, int64_t /*bytes*/) override {}
  void download(std::byte* to, const std::byte* /*from*/, int64_t bytes) override {
    std::fill_n(to, bytes, std::byte{0});
  }

 protected:
  bool runs_at_once() const override { return false; }
  void submit(std::function<void()> /*work*/) override {}

 private:
  DeviceKind kind_;
  DType activation_type_;
  int64_t allocated_ = 0;
  int64_t peak_ = 0;
  int64_t handed_out_ = 0;
};

}  // namespace mxvideo
