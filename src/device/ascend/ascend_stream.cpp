#include "device/ascend/ascend_stream.h"

#include <utility>

#include "base/error.h"

namespace mxvideo::ascend {

class PooledEvent final : public Event {
 public:
  PooledEvent(EventPool& pool, EventPool::Owner event) : pool_(pool), event_(std::move(event)) {}
  ~PooledEvent() override { pool_.finished_.push_back(std::move(event_)); }
  PooledEvent(const PooledEvent&) = delete;
  PooledEvent& operator=(const PooledEvent&) = delete;

  void synchronize() override { event_->synchronize(); }
  const AclEventOwner& event() const { return *event_; }

 private:
  EventPool& pool_;
  EventPool::Owner event_;
};

std::shared_ptr<Event> EventPool::record(AclStream stream) {
  Owner event;
  if (free_.empty()) {
    event = std::make_unique<AclEventOwner>(cann_);
  } else {
    event = std::move(free_.back());
    free_.pop_back();
  }
  event->record(stream);
  return std::make_shared<PooledEvent>(*this, std::move(event));
}

void EventPool::hold(AclStream stream, const Event& event) {
  static_cast<const PooledEvent&>(event).event().hold(stream);
}

void EventPool::release_finished() {
  for (Owner& event : finished_) free_.push_back(std::move(event));
  finished_.clear();
}

void AscendStream::submit(std::function<void()> /*work*/) {
  check(false, "work of the host was launched on a stream of the device ascend");
}

}  // namespace mxvideo::ascend
