// Orders of work beside each other on an NPU, and the points in them. Not thread-safe.
#pragma once

#include <memory>
#include <vector>

#include "device/ascend/staging.h"
#include "device/stream.h"

namespace mxvideo::ascend {

// Events of one device. CANN lets an event go only when nothing that was queued uses it any more,
// so that those which nobody holds wait for release_finished(), and are used again.
class EventPool {
 public:
  explicit EventPool(const CannFunctions& cann) : cann_(cann) {}
  std::shared_ptr<Event> record(AclStream stream);
  // What is queued on `stream` from now on runs after `event`, which record() made.
  static void hold(AclStream stream, const Event& event);
  // Call when all that was queued on every stream has run.
  void release_finished();

 private:
  friend class PooledEvent;
  using Owner = std::unique_ptr<AclEventOwner>;

  const CannFunctions& cann_;
  std::vector<Owner> free_;
  std::vector<Owner> finished_;
};

// A stream of its own, for copies to the device.
class AscendStream final : public Stream {
 public:
  AscendStream(const CannFunctions& cann, EventPool& events)
      : events_(events), stream_(cann), staging_(cann) {}
  ~AscendStream() override { stream_.synchronize_quietly(); }

  void upload(std::byte* to, const std::byte* from, int64_t bytes) override {
    staging_.upload(to, from, bytes, stream_.get());
  }
  std::shared_ptr<Event> record() override { return events_.record(stream_.get()); }
  void wait(const std::shared_ptr<Event>& event) override {
    EventPool::hold(stream_.get(), *event);
  }
  void synchronize() override { stream_.synchronize(); }

 protected:
  // Work of the host cannot run there: a broken contract.
  void submit(std::function<void()> work) override;

 private:
  EventPool& events_;
  AclStreamOwner stream_;
  Staging staging_;
};

}  // namespace mxvideo::ascend
