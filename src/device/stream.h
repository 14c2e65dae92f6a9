// Work of a device in an order: what one stream launches runs one after the other, that of several
// streams at the same time, unless events order them. For one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace mxvideo {

// A point in the order of a stream.
class Event {
 public:
  virtual ~Event() = default;
  // Returns when what the stream had launched before the event has run; throws what it threw.
  virtual void synchronize() = 0;
};

class Stream {
 public:
  virtual ~Stream() = default;

  // Runs `work`, which is copyable and holds all that it needs, after what was launched before.
  template <class Work>
  void launch(Work&& work) {
    if (runs_at_once()) {
      work();
    } else {
      submit(std::forward<Work>(work));
    }
  }
  // To the device's memory, as work that is launched; `from` may change when it returns.
  virtual void upload(std::byte* to, const std::byte* from, int64_t bytes) = 0;
  virtual std::shared_ptr<Event> record() = 0;
  // What is launched from now on runs after `event`, of a stream of the same device.
  virtual void wait(const std::shared_ptr<Event>& event) = 0;
  // Returns when everything that was launched has run; throws what it threw.
  virtual void synchronize() = 0;

 protected:
  virtual bool runs_at_once() const { return false; }
  virtual void submit(std::function<void()> work) = 0;
};

}  // namespace mxvideo
