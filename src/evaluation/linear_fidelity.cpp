#include "evaluation/linear_fidelity.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "convert/quantization/row_quantizer.h"
#include "quantization/mx_offline.h"
#include "quantization/unquantized.h"

namespace mxvideo::evaluation {

using quantization::LinearInput;
using quantization::LinearMethod;
using quantization::LinearOutput;
using quantization::LinearShape;
using quantization::QuantizationConfig;

namespace {

constexpr int64_t kRowsPerChunk = 256;

// Quantizes the stored weight as loading did, with the same bits.
void measure_weight(const TensorView& stored, const formats::MxOptions& options,
                    LayerFidelity& fidelity) {
  const int64_t n = stored.shape[0], k = stored.shape[1];
  const int64_t most = std::min(n, kRowsPerChunk);
  std::vector<uint8_t> codes(static_cast<size_t>(most * k));
  std::vector<uint8_t> scales(static_cast<size_t>(most * (k / formats::kMxBlockSize)));
  fidelity.weights = {};
  fidelity.weights.layer = fidelity.layer;
  fidelity.weight_error = {};
  for (int64_t first = 0; first < n; first += most) {
    const int64_t count = std::min(most, n - first);
    const convert::QuantizedRows rows{
        .stored = {.data = stored.data + first * k * dtype_size(stored.dtype),
                   .dtype = stored.dtype,
                   .shape = {count, k}},
        .codes = codes.data(),
        .scales = scales.data()};
    convert::quantize_and_measure(rows, options, fidelity.weights);
    const Tensor decoded = quantization::dequantize_mx_weight(codes.data(), scales.data(),
                                                              {count, k}, options.element);
    fidelity.weight_error.add(to_f32(rows.stored).values(), to_f32(decoded.view()).values(), k);
  }
}

}  // namespace

class MeasuredLinear final : public LinearMethod {
 public:
  MeasuredLinear(std::unique_ptr<LinearMethod> quantized, const formats::MxOptions& options,
                 LinearFidelity::Slot& slot)
      : LinearMethod(quantized->name(), quantized->shape()),
        quantized_(std::move(quantized)),
        unquantized_(name(), shape(), ""),
        options_(options),
        slot_(slot) {}

  const char* scheme() const override { return quantized_->scheme(); }
  std::string reason() const override { return quantized_->reason(); }

  void create_weights(checkpoint::ParameterLoader& loader) override {
    add_to(loader, quantization::linear_parameter_specs(name(), shape()));
  }

  void process_weights_after_loading(std::span<const checkpoint::StoredTensor> tensors,
                                     kernels::Context& context) override {
    quantized_->process_weights_after_loading(tensors, context);
    unquantized_.process_weights_after_loading(tensors, context);
    note_checkpoint_bytes(tensors);
    if (!context.device().computes()) return;
    const std::lock_guard lock(slot_.mutex);
    measure_weight(tensors[0].view, options_, slot_.fidelity);
    slot_.loaded = true;
  }

  void apply(LinearInput& input, const LinearOutput& output,
             kernels::Context& context) const override {
    const Shape shape_of_output{input.m(), shape().out_features};
    Tensor reference = context.tensor(shape_of_output), actual = context.tensor(shape_of_output);
    unquantized_.apply(input, {.y = reference}, context);
    quantized_->apply(input, {.y = actual}, context);
    if (context.device().computes()) {
      const std::lock_guard lock(slot_.mutex);
      const OnHost expected(reference), got(actual);
      slot_.fidelity.output_error.add((*expected).values(), (*got).values(), shape().out_features);
    }
    quantized_->apply(input, output, context);
  }

  int64_t quantized_input_bytes(int64_t m) const override {
    return quantized_->quantized_input_bytes(m);
  }
  int64_t weight_bytes() const override {
    return quantized_->weight_bytes() + unquantized_.weight_bytes();
  }

 private:
  std::unique_ptr<LinearMethod> quantized_;
  quantization::UnquantizedLinear unquantized_;
  formats::MxOptions options_;
  LinearFidelity::Slot& slot_;
};

class MeasuredQuantization final : public QuantizationConfig {
 public:
  MeasuredQuantization(LinearFidelity& fidelity, std::string component,
                       const formats::MxOptions& options,
                       std::unique_ptr<QuantizationConfig> config)
      : fidelity_(fidelity),
        component_(std::move(component)),
        options_(options),
        config_(std::move(config)) {}

  std::string_view name() const override { return config_->name(); }

  std::unique_ptr<LinearMethod> make_linear(const std::string& layer, const LinearShape& shape,
                                            bool quantizable) const override {
    std::unique_ptr<LinearMethod> linear = config_->make_linear(layer, shape, quantizable);
    const std::string_view scheme = linear->scheme();
    if (!quantization::quantizes(scheme)) return linear;
    check(scheme == formats::mx_format_name(options_.element),
          "a measured layer is one of the scheme");
    return std::make_unique<MeasuredLinear>(std::move(linear), options_,
                                            fidelity_.slot(component_, layer));
  }

  void declare_companions(checkpoint::ParameterLoader& loader) const override {
    config_->declare_companions(loader);
  }

 private:
  LinearFidelity& fidelity_;
  std::string component_;
  formats::MxOptions options_;
  std::unique_ptr<QuantizationConfig> config_;
};

std::unique_ptr<QuantizationConfig> LinearFidelity::wrap(
    const std::string& component, const quantization::QuantizationOptions& options,
    std::unique_ptr<QuantizationConfig> config) {
  return std::make_unique<MeasuredQuantization>(*this, component, quantization::mx_options(options),
                                                std::move(config));
}

LinearFidelity::Slot& LinearFidelity::slot(const std::string& component, const std::string& layer) {
  const auto found = std::ranges::find_if(slots_, [&](const Slot& slot) {
    return slot.fidelity.layer == layer && slot.fidelity.component == component;
  });
  if (found != slots_.end()) return *found;
  Slot& slot = slots_.emplace_back();
  slot.fidelity.component = component;
  slot.fidelity.layer = layer;
  return slot;
}

std::vector<const LayerFidelity*> LinearFidelity::layers() const {
  std::vector<const LayerFidelity*> result;
  for (const Slot& slot : slots_) {
    if (slot.loaded) result.push_back(&slot.fidelity);
  }
  return result;
}

}  // namespace mxvideo::evaluation
