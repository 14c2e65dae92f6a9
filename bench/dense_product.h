// oneDNN's dense x · w with weights in its own layout: the rival of our matrix products.
// Not copyable; run() from one thread at a time.
#pragma once

#include <cstdint>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <vector>

#include "bench/measure.h"

namespace mxvideo::bench {

class DenseProduct {
 public:
  // x [m, k] and w [k, n] of `type`, y [m, n] in fp32. Throws dnnl::error where oneDNN lacks
  // `type`.
  DenseProduct(int64_t m, int64_t n, int64_t k, dnnl::memory::data_type type);
  bool is_reference() const { return is_reference_; }  // a plain loop: no rival
  void run();

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::matmul matmul_;
  std::unordered_map<int, dnnl::memory> arguments_;
  bool is_reference_ = false;
};

// "vs_f32" and, where oneDNN has a kernel for it on this CPU, "vs_bf16".
std::vector<Rival> dense_rivals(int64_t m, int64_t n, int64_t k);

}  // namespace mxvideo::bench
