// Looks for NaN and infinity. Thread-compatible.
#pragma once

#include <string>

#include "models/wan_transformer/wan_transformer.h"
#include "tensor/tensor.h"

namespace mxvideo::pipeline {

// Of a tensor of the host.
bool all_finite(const Tensor& tensor);
// Of a tensor of the context's device, for which it waits.
bool all_finite(const Tensor& tensor, kernels::Context& context);

// A probe that remembers the name of the first intermediate that is not finite. Outlived by the
// context.
class FirstNonFinite {
 public:
  explicit FirstNonFinite(kernels::Context& context);
  FirstNonFinite(const FirstNonFinite&) = delete;
  FirstNonFinite& operator=(const FirstNonFinite&) = delete;

  const models::Probe& probe() const { return probe_; }
  const std::string& name() const { return name_; }  // empty: everything was finite

 private:
  std::string name_;
  models::Probe probe_;
};

}  // namespace mxvideo::pipeline
