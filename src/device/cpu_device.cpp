#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/checked.h"
#include "base/error.h"
#include "device/device.h"

namespace mxvideo {
namespace {

// Blocks of this size and more are mapped of their own, so that they go back to the system when
// they are freed. From the heap, the temporaries of loading would leave holes between the
// weights: 7.4 GB instead of 5.3 GB for TI2V-5B (mxvideo bench load --layers 30); so would the
// activations of a small model.
constexpr int64_t kMapThreshold = int64_t{256} << 10;
// Fewer, larger pages for what GEMM walks through.
constexpr int64_t kHugePageThreshold = int64_t{4} << 20;

[[noreturn]] void out_of_memory(int64_t bytes) {
  throw Error(Code::kOutOfMemory, "cannot allocate " + std::to_string(bytes) + " bytes");
}

void* map_block(int64_t bytes) {
  const auto size = static_cast<size_t>(bytes);
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) out_of_memory(bytes);
  if (bytes >= kHugePageThreshold) ::madvise(data, size, MADV_HUGEPAGE);
  return data;
}

class CpuDevice final : public Device {
 public:
  const char* name() const override { return "cpu"; }

  std::byte* allocate(int64_t bytes) override {
    check(bytes >= 0, "allocation of negative size");
    if (bytes == 0) return nullptr;
    void* data = nullptr;
    if (bytes >= kMapThreshold) {
      data = map_block(bytes);
    } else {
      data = std::aligned_alloc(kAlignment, static_cast<size_t>(round_up(bytes, kAlignment)));
      if (data == nullptr) out_of_memory(bytes);
    }
    note_peak(allocated_.fetch_add(bytes, std::memory_order_relaxed) + bytes);
    return static_cast<std::byte*>(data);
  }

  void deallocate(std::byte* data, int64_t bytes) noexcept override {
    if (data == nullptr) return;
    if (bytes >= kMapThreshold) {
      ::munmap(data, static_cast<size_t>(bytes));
    } else {
      std::free(data);
    }
    allocated_.fetch_sub(bytes, std::memory_order_relaxed);
  }

  int64_t allocated_bytes() const override { return allocated_.load(std::memory_order_relaxed); }
  int64_t peak_allocated_bytes() const override { return peak_.load(std::memory_order_relaxed); }
  void reset_peak_allocated_bytes() override { peak_.store(allocated_bytes()); }

  void upload(std::byte* to, const std::byte* from, int64_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
  }
  void download(std::byte* to, const std::byte* from, int64_t bytes) override {
    upload(to, from, bytes);
  }

 private:
  void note_peak(int64_t now) {
    int64_t peak = peak_.load(std::memory_order_relaxed);
    while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
    }
  }

  std::atomic<int64_t> allocated_{0};
  std::atomic<int64_t> peak_{0};
};

}  // namespace

Device& cpu_device() {
  static CpuDevice device;
  return device;
}

}  // namespace mxvideo
