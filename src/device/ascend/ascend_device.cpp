#include "device/ascend/ascend_device.h"

#include <array>
#include <atomic>
#include <cstring>
#include <functional>

#include "base/checked.h"
#include "base/error.h"
#include "device/ascend/cann_error.h"
#include "device/buffer.h"

namespace mxvideo::ascend {
namespace {

std::atomic<uint64_t> devices_made{0};

std::string nature(const std::string& soc) { return soc.empty() ? "of unknown kind" : soc; }

}  // namespace

AscendDevice::AscendDevice(const AscendOptions& options)
    : cann_(options.libraries), index_(options.index), number_(++devices_made) {
  try {
    take_device();
    expect_mx_quantizer();
  } catch (...) {
    finish();
    throw;
  }
}

AscendDevice::~AscendDevice() { finish(); }

void AscendDevice::take_device() {
  const int32_t status = cann_.aclInit(nullptr);
  if (status != kRepeatInitialize) expect_success(cann_, "aclInit", status);
  uint32_t count = 0;
  expect_success(cann_, "aclrtGetDeviceCount", cann_.aclrtGetDeviceCount(&count));
  if (index_ < 0 || static_cast<uint32_t>(index_) >= count) {
    throw Error(Code::kDevice,
                count == 0 ? "device ascend: CANN is here and finds no NPU; see npu-smi info"
                           : "device ascend: there is no NPU " + std::to_string(index_) +
                                 ", they are numbered from 0 to " + std::to_string(count - 1));
  }
  bind_thread();
  taken_ = true;
  const char* soc = cann_.aclrtGetSocName();
  soc_ = soc != nullptr ? soc : "";
  stream_ = std::make_unique<AclStreamOwner>(cann_);
  events_ = std::make_unique<EventPool>(cann_);
  pool_ = std::make_unique<DevicePool>(cann_);
  staging_ = std::make_unique<Staging>(cann_);
  executors_ = std::make_unique<ExecutorCache>(cann_, *this);
}

// The example of aclnnDynamicMxQuant's document: 0, 8, 64, 512 in a block have the scale 2.
void AscendDevice::expect_mx_quantizer() {
  constexpr int64_t kBlock = 32;
  const std::array<uint16_t, kBlock> values{0, 0x4100, 0x4280, 0x4400};  // BF16
  const std::array<uint8_t, 4> expected{0x00, 0x48, 0x60, 0x78};
  Buffer x(*this, kBlock * 2);
  Buffer codes(*this, kBlock);
  Buffer scales(*this, 2);
  upload(x.data(), reinterpret_cast<const std::byte*>(values.data()), x.size());
  const AclView from(x.data(), AclType::kBf16, {1, kBlock});
  const AclView to(codes.data(), AclType::kE4m3, {1, kBlock});
  const AclView to_scales(scales.data(), AclType::kE8m0, {1, 1, 2});
  try {
    run(cann_.DynamicMxQuant, in(from), -1, "rint", AclType::kE4m3, kBlock, 0, out(to),
        out(to_scales));
  } catch (const Error& error) {
    if (error.code() != Code::kDevice) throw;
    throw Error(Code::kDevice, "device ascend: this NPU, " + nature(soc_) +
                                   ", does not quantize to MXFP8, Atlas A5 (Ascend 950) does; " +
                                   error.what());
  }
  std::array<uint8_t, 4> got{};
  std::array<uint8_t, 2> got_scales{};
  download(reinterpret_cast<std::byte*>(got.data()), codes.data(), got.size());
  download(reinterpret_cast<std::byte*>(got_scales.data()), scales.data(), got_scales.size());
  if (got != expected || got_scales != std::array<uint8_t, 2>{128, 0}) {
    throw Error(Code::kDevice, "device ascend: aclnnDynamicMxQuant of this NPU, " + nature(soc_) +
                                   ", does not give the numbers of its own document");
  }
}

void AscendDevice::bind_thread() {
  thread_local uint64_t bound = 0;
  if (bound == number_) return;
  const int32_t status = cann_.aclrtSetDevice(index_);
  if (status != 0) fail(cann_, "aclrtSetDevice", "of NPU " + std::to_string(index_), status);
  bound = number_;
}

void AscendDevice::finish() noexcept {
  if (!taken_) return;
  cann_.aclrtSetDevice(index_);
  copy_stream_.reset();
  if (stream_ != nullptr) stream_->synchronize_quietly();
  executors_.reset();
  events_.reset();
  staging_.reset();
  pool_.reset();
  stream_.reset();
  cann_.aclrtResetDevice(index_);
}

std::byte* AscendDevice::allocate(int64_t bytes) {
  check(bytes >= 0, "allocation of negative size");
  if (bytes == 0) return nullptr;
  bind_thread();
  void* data = pool_->allocate(bytes);
  if (data == nullptr) {
    stream_->synchronize();
    pool_->trim();
    data = pool_->allocate(bytes);
  }
  if (data == nullptr) {
    const MemoryInfo info = memory_info();
    throw Error(Code::kOutOfMemory, "device ascend: cannot allocate " + std::to_string(bytes) +
                                        " bytes; " + std::to_string(info.free) + " of the NPU's " +
                                        std::to_string(info.total) + " are free, " +
                                        std::to_string(allocated_bytes()) + " are in use here");
  }
  return static_cast<std::byte*>(data);
}

void AscendDevice::deallocate(std::byte* data, int64_t bytes) noexcept {
  pool_->deallocate(data, bytes);
}

void AscendDevice::synchronize() {
  bind_thread();
  stream_->synchronize();
  executors_->release_finished();
  if (copy_stream_ != nullptr) copy_stream_->synchronize();
  events_->release_finished();
}

std::unique_ptr<Stream> AscendDevice::make_stream() {
  bind_thread();
  return std::make_unique<AscendStream>(cann_, *events_);
}

std::shared_ptr<Event> AscendDevice::record() {
  bind_thread();
  return events_->record(stream_->get());
}

void AscendDevice::wait(const std::shared_ptr<Event>& event) {
  bind_thread();
  EventPool::hold(stream_->get(), *event);
}

Stream& AscendDevice::copy_stream() {
  if (copy_stream_ == nullptr) copy_stream_ = make_stream();
  return *copy_stream_;
}

void AscendDevice::upload(std::byte* to, const std::byte* from, int64_t bytes) {
  bind_thread();
  staging_->upload(to, from, bytes, stream_->get());
}

void AscendDevice::download(std::byte* to, const std::byte* from, int64_t bytes) {
  bind_thread();
  staging_->download(to, from, bytes, stream_->get());
  if (bytes > 0) executors_->release_finished();
}

void AscendDevice::copy(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes == 0) return;
  bind_thread();
  const auto size = static_cast<size_t>(bytes);
  const int32_t status =
      cann_.aclrtMemcpyAsync(to, size, from, size, kDeviceToDevice, stream_->get());
  if (status != 0) {
    fail(cann_, "aclrtMemcpyAsync", "on the device, of " + std::to_string(bytes) + " bytes",
         status);
  }
}

void AscendDevice::clear(std::byte* data, int64_t bytes) {
  if (bytes == 0) return;
  bind_thread();
  const auto size = static_cast<size_t>(bytes);
  const int32_t status = cann_.aclrtMemsetAsync(data, size, 0, size, stream_->get());
  if (status != 0) {
    fail(cann_, "aclrtMemsetAsync", "of " + std::to_string(bytes) + " bytes", status);
  }
}

AscendDevice::MemoryInfo AscendDevice::memory_info() {
  bind_thread();
  size_t free = 0;
  size_t total = 0;
  expect_success(cann_, "aclrtGetMemInfo", cann_.aclrtGetMemInfo(kHbmMemory, &free, &total));
  return {static_cast<int64_t>(free), static_cast<int64_t>(total)};
}

void AscendDevice::submit(std::function<void()> /*work*/) {
  check(false, "work of the host was launched on the device ascend");
}

}  // namespace mxvideo::ascend
