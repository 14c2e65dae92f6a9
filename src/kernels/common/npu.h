// What the rows of the Ascend NPU share: CANN's operators in the order of the context's device, and
// the steps that several rows are made of. A row is a function of the host: it queues operators and
// returns; what it allocates meanwhile goes back in stream order. On a device that only plans,
// nothing is queued.
//
// BF16 rounding points that rows have beside those of their contracts are named at each row:
// tests/ascend derives its bounds from them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include "device/ascend/ascend_device.h"
#include "formats/dtype.h"
#include "kernels/common/context.h"
#include "kernels/quantize_mx/quantize_mx.h"
#include "tensor/device_ptr.h"

namespace mxvideo::kernels {

using ascend::AclType;
using ascend::AclView;
using ascend::in;
using ascend::out;
using ascend::scalar;

AclType acl_type(DType dtype);

class Npu {
 public:
  // The context's device is an NPU or plans for one.
  explicit Npu(Context& context);

  const ascend::CannFunctions& cann() const { return *cann_; }
  template <class Operator, class... Arguments>
  void run(const Operator& op, const Arguments&... arguments) const {
    if (device_ != nullptr) device_->run(op, arguments...);
  }

  // Memory of this row, until it returns.
  void* memory(AclType type, int64_t count);
  // A dense tensor there.
  AclView temporary(AclType type, std::initializer_list<int64_t> dims);
  AclView temporary_like(const AclView& x, AclType type);
  // Values of the host there.
  AclView constants(std::span<const float> values);
  AclView constants(std::span<const int32_t> values);

  // `to` = `from`, whose axes of extent 1 are repeated; types are converted.
  void copy(const AclView& from, const AclView& to) const;
  void clear(const AclView& dense) const;
  // x in that type: itself, or a copy.
  AclView as(const AclView& x, AclType type);
  // y = x + alpha · z.
  void add(const AclView& x, const AclView& z, const AclView& y, double alpha = 1) const;
  // `result`, computed by make(where) in x's type, in the type of y: there, or by way of a copy.
  template <class Make>
  void in_type_of(const AclView& x, const AclView& y, const Make& make) {
    if (x.type == y.type) return make(y);
    const AclView result = temporary_like(y, x.type);
    make(result);
    copy(result, y);
  }
  // x [m, k] FP32 or BF16 as MXFP8; expects what npu_rejects() passes.
  void quantize(const AclView& x, const MxOutput& to);
  // The same with scales as the operator makes them: [m, ceil(k/64), 2].
  void quantize_padded(const AclView& x, const uint8_t* codes, const uint8_t* scales,
                       const formats::MxOptions& options) const;
  // Scales [rows, k/32] as operators take them: [rows, ceil(k/64), 2], the last one of an odd
  // number followed by zero.
  AclView paired_scales(const uint8_t* scales, int64_t rows, int64_t k);

 private:
  Context& context_;
  ascend::AscendDevice* device_;
  const ascend::CannFunctions* cann_;
  std::vector<Tensor> temporaries_;
};

// The elements at `data`, dense; of the type that the pointer has.
template <class T>
AclView npu_view(const DevicePtr<T>& data, std::initializer_list<int64_t> dims) {
  return {data.get(), acl_type(data.dtype()), dims};
}
// [rows, columns] with a row stride.
template <class T>
AclView npu_rows(const DevicePtr<T>& data, int64_t rows, int64_t columns, int64_t stride) {
  const int64_t dims[] = {rows, columns};
  const int64_t strides[] = {stride, 1};
  return {data.get(), acl_type(data.dtype()), dims, strides};
}

// Why the NPU does not quantize so; null when it does.
const char* npu_rejects(const formats::MxOptions& options) noexcept;

}  // namespace mxvideo::kernels
