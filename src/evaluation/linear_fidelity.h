// Measures each quantized linear layer while a model runs: its weight against the one in the files,
// and its outputs against those that the layer would give unquantized on the same input.
//
// wrap() puts a measuring layer around each quantized one; model and pipeline see LinearMethods as
// ever, and the values that flow on are those of the quantized layer, bit for bit. What is compared
// is the plain product with its bias, x·Wᵀ + b, before GELU, gate and residual: those would add
// signal that the layer did not compute. A measuring layer holds both weights and multiplies up to
// three times, so seconds and memory of such a run say nothing about the scheme.
//
// Layers may be applied from several threads; read layers() when no run is going on.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/signal_error.h"
#include "convert/quantization/quantization_report.h"
#include "quantization/quantization_config.h"

namespace mxvideo::evaluation {

struct LayerFidelity {
  std::string component, layer;  // "transformer", "blocks.0.attn1.to_q"
  convert::LayerReport weights;  // as `mxvideo quantize` reports them
  SignalError weight_error;      // the decoded weights
  SignalError output_error;      // over every call of the run
};

class LinearFidelity {
 public:
  // `config` made from `options` for files that declare nothing, with each layer that it quantizes
  // measured. This object must outlive what is returned and every layer made by it.
  std::unique_ptr<quantization::QuantizationConfig> wrap(
      const std::string& component, const quantization::QuantizationOptions& options,
      std::unique_ptr<quantization::QuantizationConfig> config);

  // Layers that were loaded, in the order of the models.
  std::vector<const LayerFidelity*> layers() const;

 private:
  friend class MeasuredQuantization;
  friend class MeasuredLinear;
  struct Slot {
    LayerFidelity fidelity;
    bool loaded = false;
    std::mutex mutex;
  };
  Slot& slot(const std::string& component, const std::string& layer);

  std::deque<Slot> slots_;  // stable addresses
};

}  // namespace mxvideo::evaluation
