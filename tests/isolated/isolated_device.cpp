#include "isolated/isolated_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/checked.h"
#include "base/error.h"

namespace mxvideo::test {
namespace {

constexpr int64_t kPage = 4096;
// Addresses are handed out once, so that nothing finds its way back to memory that was freed.
constexpr int64_t kAddresses = int64_t{1} << 40;
// NaN as F32, BF16, F16 and E4M3, and as a scale.
constexpr int kNever = 0xff;

}  // namespace

IsolatedDevice::IsolatedDevice() {
  void* memory = ::mmap(nullptr, static_cast<size_t>(kAddresses), PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(memory != MAP_FAILED, "addresses for the isolated device");
  memory_ = static_cast<std::byte*>(memory);
  thread_ = std::thread([this] { work(); });
}

IsolatedDevice::~IsolatedDevice() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
  ::munmap(memory_, static_cast<size_t>(kAddresses));
}

std::byte* IsolatedDevice::allocate(int64_t bytes) {
  check(bytes >= 0, "allocation of negative size");
  if (bytes == 0) return nullptr;
  std::byte* const data = memory_ + used_;
  used_ += round_up(bytes, kPage) + kPage;  // a page that is never there lies behind
  check(used_ <= kAddresses, "addresses of the isolated device");
  allocated_ += bytes;
  peak_ = std::max(peak_, allocated_);
  // Nobody else knows these pages yet.
  const auto pages = static_cast<size_t>(round_up(bytes, kPage));
  check(::mprotect(data, pages, PROT_READ | PROT_WRITE) == 0, "memory of the isolated device");
  std::memset(data, kNever, static_cast<size_t>(bytes));
  check(::mprotect(data, pages, PROT_NONE) == 0, "memory of the isolated device");
  return data;
}

void IsolatedDevice::deallocate(std::byte* data, int64_t bytes) noexcept {
  if (data == nullptr) return;
  allocated_ -= bytes;
  submit([data, bytes] {
    ::madvise(data, static_cast<size_t>(round_up(bytes, kPage)), MADV_DONTNEED);
  });
}

void IsolatedDevice::protect(int protection) {
  if (used_ == 0) return;
  check(::mprotect(memory_, static_cast<size_t>(used_), protection) == 0,
        "protection of the isolated device's memory");
}

void IsolatedDevice::Queue::run_until(int64_t count) {
  while (done < count) {
    const std::function<void()> one = std::move(work.front());
    work.pop_front();
    ++done;
    one();
  }
}

void IsolatedDevice::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return task_ != nullptr || ends_; });
    if (task_ == nullptr) return;
    try {
      task_();
    } catch (...) {
      error_ = std::current_exception();
    }
    task_ = nullptr;
    changed_.notify_all();
  }
}

void IsolatedDevice::run(const std::shared_ptr<Queue>& queue, int64_t count) {
  if (queue->done >= count) return;
  protect(PROT_READ | PROT_WRITE);
  {
    std::unique_lock lock(mutex_);
    task_ = [queue, count] { queue->run_until(count); };
    changed_.notify_all();
    changed_.wait(lock, [this] { return task_ == nullptr; });
  }
  protect(PROT_NONE);
  if (error_ == nullptr) return;
  queue->work.clear();
  queue->done = queue->launched;
  std::rethrow_exception(std::exchange(error_, nullptr));
}

// What its stream had launched when it was recorded.
class IsolatedEvent final : public Event {
 public:
  IsolatedEvent(IsolatedDevice& device, std::shared_ptr<IsolatedDevice::Queue> queue)
      : device_(device), queue_(std::move(queue)), count_(queue_->launched) {}
  void synchronize() override { device_.run(queue_, count_); }
  // As work of another stream.
  std::function<void()> wait() const {
    return [queue = queue_, count = count_] { queue->run_until(count); };
  }

 private:
  IsolatedDevice& device_;
  std::shared_ptr<IsolatedDevice::Queue> queue_;
  int64_t count_;
};

class IsolatedStream final : public Stream {
 public:
  explicit IsolatedStream(IsolatedDevice& device) : device_(device) {}
  void upload(std::byte* to, const std::byte* from, int64_t bytes) override {
    IsolatedDevice::upload_to(*queue_, to, from, bytes);
  }
  std::shared_ptr<Event> record() override {
    return std::make_shared<IsolatedEvent>(device_, queue_);
  }
  void wait(const std::shared_ptr<Event>& event) override {
    submit(dynamic_cast<IsolatedEvent&>(*event).wait());
  }
  void synchronize() override { device_.run(queue_, queue_->launched); }

 protected:
  void submit(std::function<void()> work) override { queue_->add(std::move(work)); }

 private:
  IsolatedDevice& device_;
  std::shared_ptr<IsolatedDevice::Queue> queue_ = std::make_shared<IsolatedDevice::Queue>();
};

std::unique_ptr<Stream> IsolatedDevice::make_stream() {
  return std::make_unique<IsolatedStream>(*this);
}

std::shared_ptr<Event> IsolatedDevice::record() {
  return std::make_shared<IsolatedEvent>(*this, main_);
}

void IsolatedDevice::wait(const std::shared_ptr<Event>& event) {
  submit(dynamic_cast<IsolatedEvent&>(*event).wait());
}

void IsolatedDevice::synchronize() { run(main_, main_->launched); }

void IsolatedDevice::upload_to(Queue& queue, std::byte* to, const std::byte* from, int64_t bytes) {
  const auto copy = std::make_shared<std::vector<std::byte>>(from, from + bytes);
  queue.add([to, copy] {
    if (!copy->empty()) std::memcpy(to, copy->data(), copy->size());
  });
}

void IsolatedDevice::upload(std::byte* to, const std::byte* from, int64_t bytes) {
  upload_to(*main_, to, from, bytes);
}

void IsolatedDevice::download(std::byte* to, const std::byte* from, int64_t bytes) {
  ++downloads_;
  submit([=] {
    if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
  });
  synchronize();
}

}  // namespace mxvideo::test
