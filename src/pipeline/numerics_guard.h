// Looks for NaN and infinity. Thread-compatible.
#pragma once

#include <string>

#include "models/wan_transformer/wan_transformer.h"
#include "tensor/tensor.h"

namespace mxvideo::pipeline {

bool all_finite(const Tensor& tensor);

// A probe that remembers the name of the first intermediate that is not finite.
class FirstNonFinite {
 public:
  FirstNonFinite();
  FirstNonFinite(const FirstNonFinite&) = delete;
  FirstNonFinite& operator=(const FirstNonFinite&) = delete;

  const models::Probe& probe() const { return probe_; }
  const std::string& name() const { return name_; }  // empty: everything was finite

 private:
  std::string name_;
  models::Probe probe_;
};

}  // namespace mxvideo::pipeline
