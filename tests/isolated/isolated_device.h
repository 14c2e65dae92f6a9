// A device of the host's processors that behaves like one far away: its memory cannot be read or
// written outside of the work that was launched on it (its pages are protected), work runs on
// another thread and only when the host waits for it, and memory is full of NaN before it is
// written and goes away, in the order of the main stream, when it is freed. Streams run only when
// they are waited for, by the host or through an event by another stream that is. Code that passes
// on it reads no element on the host, synchronises where it must and uses nothing that was never
// written.
//
// Launching is for one thread at a time.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "device/device.h"

namespace mxvideo::test {

class IsolatedDevice final : public Device {
 public:
  IsolatedDevice();
  ~IsolatedDevice() override;
  IsolatedDevice(const IsolatedDevice&) = delete;
  IsolatedDevice& operator=(const IsolatedDevice&) = delete;

  const char* name() const override { return "isolated"; }
  std::byte* allocate(int64_t bytes) override;
  void deallocate(std::byte* data, int64_t bytes) noexcept override;
  int64_t allocated_bytes() const override { return allocated_; }
  int64_t peak_allocated_bytes() const override { return peak_; }
  void reset_peak_allocated_bytes() override { peak_ = allocated_; }

  void synchronize() override;
  void upload(std::byte* to, const std::byte* from, int64_t bytes) override;
  void download(std::byte* to, const std::byte* from, int64_t bytes) override;
  int64_t downloads() const { return downloads_; }  // so far

  std::unique_ptr<Stream> make_stream() override;
  std::shared_ptr<Event> record() override;
  void wait(const std::shared_ptr<Event>& event) override;

 protected:
  bool runs_at_once() const override { return false; }
  void submit(std::function<void()> work) override { main_->add(std::move(work)); }

 private:
  friend class IsolatedStream;
  friend class IsolatedEvent;

  // The work of a stream.
  struct Queue {
    std::deque<std::function<void()>> work;
    int64_t launched = 0, done = 0;

    void add(std::function<void()> one) {
      work.push_back(std::move(one));
      ++launched;
    }
    void run_until(int64_t count);
  };

  void protect(int protection);
  void work();  // of the device's thread
  // Runs the first `count` works of the queue, and what they wait for.
  void run(const std::shared_ptr<Queue>& queue, int64_t count);
  static void upload_to(Queue& queue, std::byte* to, const std::byte* from, int64_t bytes);

  std::byte* memory_ = nullptr;
  int64_t used_ = 0;
  int64_t allocated_ = 0, peak_ = 0;
  int64_t downloads_ = 0;
  std::shared_ptr<Queue> main_ = std::make_shared<Queue>();
  std::exception_ptr error_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> task_;  // of the thread, when there is one
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace mxvideo::test
