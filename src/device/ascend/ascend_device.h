// An Ascend NPU: Atlas A5 (Ascend 950PR/950DT), through CANN. Checked against the published CANN
// contracts; not yet run on an NPU.
//
// Operators are queued on one stream in the order of the calls. allocate() and deallocate() may be
// called from several threads, the rest by one thread at a time. Throws Code::kDevice where CANN
// or the NPU fail, with the function, its arguments and CANN's own message, and Code::kOutOfMemory.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "device/ascend/ascend_stream.h"
#include "device/ascend/cann_library.h"
#include "device/ascend/device_pool.h"
#include "device/ascend/executor_cache.h"
#include "device/ascend/staging.h"
#include "device/device.h"

namespace mxvideo::ascend {

// What has been shown of this device so far; said wherever it is mentioned.
inline constexpr const char* kProofStatus =
    "checked against the published CANN contracts; not yet run on an NPU";

struct AscendOptions {
  std::filesystem::path libraries = {};  // where CANN's lie; empty: where the system finds them
  int32_t index = 0;                     // of the NPU
};

class AscendDevice final : public Device {
 public:
  // Loads CANN, takes the NPU and has it quantize CANN's documented example: an NPU that cannot,
  // which are all before A5, is refused here.
  explicit AscendDevice(const AscendOptions& options = {});
  // What it handed out must be back.
  ~AscendDevice() override;

  const char* name() const override { return "ascend"; }
  DeviceKind kind() const override { return DeviceKind::kAscend; }
  DType activation_type() const override { return DType::kBF16; }
  std::byte* allocate(int64_t bytes) override;
  void deallocate(std::byte* data, int64_t bytes) noexcept override;
  int64_t allocated_bytes() const override { return pool_->allocated_bytes(); }
  int64_t peak_allocated_bytes() const override { return pool_->peak_allocated_bytes(); }
  void reset_peak_allocated_bytes() override { pool_->reset_peak_allocated_bytes(); }
  void synchronize() override;
  void upload(std::byte* to, const std::byte* from, int64_t bytes) override;
  void download(std::byte* to, const std::byte* from, int64_t bytes) override;
  void copy(std::byte* to, const std::byte* from, int64_t bytes) override;
  // Streams must end before the device.
  std::unique_ptr<Stream> make_stream() override;
  std::shared_ptr<Event> record() override;
  void wait(const std::shared_ptr<Event>& event) override;

  // For weights on their way, made when it is asked for first.
  Stream& copy_stream();
  // Zeros, as work that is launched.
  void clear(std::byte* data, int64_t bytes);
  // Queues an operator of cann(): in(), out(), scalar(), integers() and plain values, one for each
  // of its parameters (acl_tensor.h, cann_functions.h).
  template <class... Parameters, class... Arguments>
  void run(const CannOperator<Parameters...>& op, const Arguments&... arguments) {
    bind_thread();
    if (executors_->full()) synchronize();
    run_operator(*executors_, stream_->get(), op, arguments...);
  }

  const CannLibrary& cann() const { return cann_; }
  // "Ascend950PR_9579"
  const std::string& soc() const { return soc_; }
  struct MemoryInfo {
    int64_t free = 0;
    int64_t total = 0;
  };
  MemoryInfo memory_info();
  // Calls of operators, and executors that were prepared and are kept.
  int64_t launches() const { return executors_->launches(); }
  int64_t executors() const { return executors_->executors(); }

 protected:
  bool runs_at_once() const override { return false; }
  // Work of the host cannot run here: a broken contract.
  void submit(std::function<void()> work) override;

 private:
  void take_device();
  void expect_mx_quantizer();
  // CANN wants the device set in each thread that calls it.
  void bind_thread();
  void finish() noexcept;

  CannLibrary cann_;
  int32_t index_;
  uint64_t number_;  // of this object in the process
  std::string soc_;
  bool taken_ = false;
  std::unique_ptr<AclStreamOwner> stream_;
  std::unique_ptr<EventPool> events_;
  std::unique_ptr<Stream> copy_stream_;
  std::unique_ptr<DevicePool> pool_;
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<ExecutorCache> executors_;
};

}  // namespace mxvideo::ascend
