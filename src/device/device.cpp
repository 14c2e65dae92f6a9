#include "device/device.h"

#include <cstring>

namespace mxvideo {
namespace {

class PastEvent final : public Event {
 public:
  void synchronize() override {}
};

// Of devices whose work runs when it is launched, or never: every order is the main one.
class MainOrder final : public Stream {
 public:
  explicit MainOrder(Device& device) : device_(device) {}
  void upload(std::byte* to, const std::byte* from, int64_t bytes) override {
    device_.upload(to, from, bytes);
  }
  std::shared_ptr<Event> record() override { return device_.record(); }
  void wait(const std::shared_ptr<Event>& event) override { device_.wait(event); }
  void synchronize() override { device_.synchronize(); }

 protected:
  void submit(std::function<void()> work) override { device_.launch(work); }

 private:
  Device& device_;
};

}  // namespace

const char* device_kind_name(DeviceKind kind) noexcept {
  return kind == DeviceKind::kAscend ? "ascend" : "cpu";
}

std::unique_ptr<Stream> Device::make_stream() { return std::make_unique<MainOrder>(*this); }

std::shared_ptr<Event> Device::record() { return std::make_shared<PastEvent>(); }

void Device::wait(const std::shared_ptr<Event>& event) { event->synchronize(); }

void Device::copy(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes == 0) return;
  launch([=] { std::memcpy(to, from, static_cast<size_t>(bytes)); });
}

}  // namespace mxvideo
