// Standard normal noise with the bits of torch.randn(shape, generator=g), g a CPU generator of
// torch, so that a seed means here what it means there.
//
// Engine: mt19937 (M. Matsumoto, T. Nishimura, 1998), seeded with the low 32 bits of the seed.
// Draws of 16 values or more take Box-Muller pairs in groups of 16 with single-precision
// polynomials for logarithm, sine and cosine (S. Moshier's Cephes, as vectorised by J. Pommier),
// fused multiply-adds where torch's AVX2 build has them. That is the path torch takes on every
// CPU with AVX2 or AVX-512; on a CPU without AVX2, and on GPUs, torch itself gives other bits.
// Draws of fewer values are scalar, in double, and keep the second value of a pair for later.
//
// The bits do not depend on this machine's instructions or on the number of threads, except that
// the scalar path uses the C library's double log1p, sin and cos.
// Not thread-safe: one generator, one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>

#include "tensor/tensor.h"

namespace mxvideo::pipeline {

class TorchGenerator {
 public:
  // torch.Generator("cpu").manual_seed(seed); a negative seed there is its two's complement here.
  explicit TorchGenerator(uint64_t seed);

  // What one torch.randn of values.size() elements returns. Consecutive calls continue the
  // stream, as consecutive draws from one generator do; two draws are not one draw of the sum.
  void fill_normal(std::span<float> values);

  // F32 tensor filled by fill_normal(). Throws Code::kOutOfMemory.
  Tensor randn(const Shape& shape);

 private:
  void fill_uniform(std::span<float> values);
  void fill_normal_groups(std::span<float> values);
  double next_double();
  double next_normal();

  std::mt19937 engine_;
  std::optional<double> pending_normal_;
};

}  // namespace mxvideo::pipeline
