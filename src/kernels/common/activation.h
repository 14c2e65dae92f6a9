// Scalar definitions of the activation functions, in double. The fp32 vector versions
// (activation-inl.h) and every reference kernel are judged against these. Pure functions.
#pragma once

namespace mxvideo::kernels {

// x · sigmoid(x) = x / (1 + e^-x).
double silu_value(double x) noexcept;

// x/2 · (1 + tanh(√(2/π)·(x + 0.044715x³))): Hendrycks and Gimpel, arXiv 1606.08415, section 2.
double gelu_tanh_value(double x) noexcept;

}  // namespace mxvideo::kernels
