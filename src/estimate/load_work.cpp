#include "estimate/load_work.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <vector>

#include "base/file/descriptor.h"
#include "base/system/system_error.h"
#include "quantization/mx_weight.h"

namespace mxvideo::estimate {
namespace {

constexpr int64_t kRows = 1024, kColumns = 4096;

// BF16 elements in a file of memory, mapped as checkpoints are.
class MappedWeight {
 public:
  MappedWeight() : file_(::memfd_create("mxvideo-sample", MFD_CLOEXEC)) {
    const std::vector<uint16_t> values(static_cast<size_t>(kRows * kColumns), 0x3f00);  // 0.5
    const auto bytes = static_cast<ssize_t>(size());
    if (file_.get() < 0 || ::write(file_.get(), values.data(), size()) != bytes) {
      throw system_error("a file of memory", "cannot be written", errno);
    }
    data_ = ::mmap(nullptr, size(), PROT_READ, MAP_PRIVATE, file_.get(), 0);
    if (data_ == MAP_FAILED) throw system_error("a file of memory", "cannot be mapped", errno);
  }
  ~MappedWeight() { ::munmap(data_, size()); }
  MappedWeight(const MappedWeight&) = delete;
  MappedWeight& operator=(const MappedWeight&) = delete;

  TensorView view() const {
    return {.data = static_cast<const std::byte*>(data_),
            .dtype = DType::kBF16,
            .shape = {kRows, kColumns}};
  }
  // The next one who reads pays for the pages again.
  void release() { ::madvise(data_, size(), MADV_DONTNEED); }

 private:
  static size_t size() { return kRows * kColumns * sizeof(uint16_t); }

  Descriptor file_;
  void* data_ = nullptr;
};

CallGroup load(const char* row, std::string shape, double bytes,
               const std::function<void(const TensorView&, kernels::Context&)>& take) {
  CallGroup group = {.op = "load", .row = row, .calls = 1};
  group.work = {.bytes = bytes};
  group.kind = {.work = group.work,
                .shape = std::move(shape),
                .sample_work = {.bytes = 2.0 * kRows * kColumns},
                .sample = [take](Device&) -> kernels::SampleCall {
                  const auto weight = std::make_shared<MappedWeight>();
                  return [take, weight](kernels::Context& context) {
                    take(weight->view(), context);
                    weight->release();
                  };
                }};
  return group;
}

}  // namespace

CallGroup plain_load(double bytes) {
  return load("plain", "bf16", bytes, [](const TensorView& view, kernels::Context& context) {
    const Tensor copy = stored_copy(view, context.device());
    context.device().synchronize();
  });
}

CallGroup quantized_load(double bytes, const formats::MxOptions& options) {
  const bool int8 = options.element == formats::MxElement::kInt8;
  return load("quantized", int8 ? "bf16 int8" : "bf16", bytes,
              [options](const TensorView& view, kernels::Context& context) {
                quantization::quantize_and_pack("sample", view, options, context);
              });
}

}  // namespace mxvideo::estimate
