// One operation on the host and on the NPU that the stand-in plays, on the same values.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "ascend/backend_fixture.h"
#include "formats/half.h"
#include "support/test_support.h"

namespace mxvideo::test {

// Makes the same tensors on whatever device the context has.
class Maker {
 public:
  explicit Maker(kernels::Context& context, uint32_t seed = 1) : context_(context), random_(seed) {}

  kernels::Context& context() { return context_; }
  // Normal values that BF16 holds: in the device's type of activations.
  Tensor activations(const Shape& shape);
  // The same in F32.
  Tensor f32(const Shape& shape, float scale = 1);
  Tensor of(DType dtype, const Shape& shape);  // F32, BF16 or F16
  Tensor bytes(const std::vector<uint8_t>& values);
  Tensor indices(const std::vector<int32_t>& values);
  // Room for a result: NaN everywhere.
  Tensor result(const Shape& shape);      // of activations
  Tensor result_f32(const Shape& shape);  // F32
  Tensor result_bytes(int64_t count);

 private:
  std::vector<float> normal(int64_t count, float scale);
  Tensor on_device(DType dtype, const Shape& shape, const std::vector<float>& values);

  kernels::Context& context_;
  std::mt19937 random_;
};

using Operation = std::function<std::vector<Tensor>(Maker&)>;

// Results of the operation on the host, then on the NPU, one float each; bytes count as numbers.
struct Results {
  std::vector<std::vector<float>> host, npu;
};
Results run_on_both(const Operation& operation);

// All results within `roundings` roundings to BF16, by the root of the mean square; 0: equal.
void expect_parity(const Operation& operation, double roundings);

}  // namespace mxvideo::test
