// One linear layer y = x Wᵀ + b under one scheme: the seam between quantization and models.
//
// A model holds one LinearMethod per layer, made once by a QuantizationConfig, and never asks which
// scheme it is. Life: create_weights() declares the tensors to the loader, which calls
// process_weights_after_loading() with their bytes; after that the object is immutable and apply()
// may be called from several threads with different contexts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "checkpoint/parameter_loader.h"
#include "formats/mx_block.h"
#include "kernels/attention/attention.h"
#include "kernels/common/context.h"
#include "kernels/gemm_mx/gemm_mx.h"
#include "kernels/layer_norm/layer_norm.h"
#include "tensor/tensor.h"

namespace mxvideo::quantization {

struct LinearShape {
  int64_t out_features = 0;
  int64_t in_features = 0;
  bool bias = true;
};

class LinearInput;
class LinearMethod;

// What a layer makes of an input: rows that need not be stored as floats.
struct LinearResult {
  const LinearMethod* layer = nullptr;
  LinearInput* input = nullptr;
  kernels::Epilogue epilogue = kernels::Epilogue::kNone;
  DevicePtr<float> y = nullptr;  // [m, out_features]: memory for the rows, in either form
};

// The input of one or more linear layers: fp32 rows, and their quantized form, which every layer
// that reads it shares (q, k and v). Lives for one step of a forward pass.
class LinearInput {
 public:
  // x [m, k], contiguous; must outlive the LinearInput unchanged. The quantized form lies in
  // `memory` when there is one: quantized_input_bytes() of each layer that reads the input.
  LinearInput(DevicePtr<const float> x, int64_t m, int64_t k, Tensor* memory = nullptr)
      : x_(x), m_(m), k_(k), memory_(memory) {}
  // The rows of a LayerNorm, made when a layer asks for them and in the form that it asks for:
  // quantized in one pass, or fp32 in norm.y. What `norm` reads must not change before.
  explicit LinearInput(const kernels::LayerNormArgs& norm, Tensor* memory = nullptr)
      : m_(norm.rows), k_(norm.dim), source_(norm), memory_(memory) {}

  // The rows that another layer makes, likewise: where it can, quantized in one pass, to result.y;
  // otherwise fp32 there and quantized to `memory`. What `result` points to must not change before.
  explicit LinearInput(const LinearResult& result, Tensor* memory = nullptr);

  // The result of an attention, likewise: where its heads are whole blocks, quantized as it is
  // computed, otherwise fp32 in attention.out. What `attention` reads must not change before.
  explicit LinearInput(const kernels::AttentionArgs& attention, Tensor* memory = nullptr)
      : m_(attention.q_length),
        k_(attention.heads * attention.head_dim),
        source_(attention),
        memory_(memory) {}

  int64_t m() const { return m_; }
  int64_t k() const { return k_; }

  DevicePtr<const float> x(kernels::Context& context);  // [m, k]

  struct Quantized {
    DevicePtr<const uint8_t> codes;   // [m, k]
    DevicePtr<const uint8_t> scales;  // [m, k/32]
  };
  // Quantizes, unless the call before had the same options: then returns the same bytes. Others
  // take their place, as for layers of one input whose weights differ in their format.
  Quantized quantized(const formats::MxOptions& options, kernels::Context& context);

 private:
  // Whether the rows could be made in the quantized form alone, and are.
  bool make_quantized(const formats::MxOptions& options, kernels::Context& context);
  void use_memory_for_quantized(const formats::MxOptions& options, const kernels::Context& context);
  void place_quantized(void* memory, const formats::MxOptions& options);

  DevicePtr<const float> x_ = nullptr;  // null as long as nobody asked for the rows of source_
  int64_t m_;
  int64_t k_;
  std::variant<std::monostate, kernels::LayerNormArgs, LinearResult, kernels::AttentionArgs>
      source_;
  Tensor* memory_;
  Tensor own_memory_;
  kernels::MxOutput quantized_;  // no codes before they are made
};

// Where the result goes and what happens to it on the way (kernels/gemm_mx/gemm_mx.h).
struct LinearOutput {
  DevicePtr<float> y = nullptr;  // [m, out_features]
  kernels::MxOutput mx = {};     // instead, when it has codes: of layers that quantize their output
  kernels::EpilogueArgs epilogue = {};  // without bias, which is the layer's
};

// What a dense layer stores: "<name>.weight" [out, in] and, with bias, "<name>.bias" [out].
std::vector<checkpoint::ParameterSpec> linear_parameter_specs(const std::string& name,
                                                              const LinearShape& shape);

// What multiplies a quantized layer.
struct LinearProduct {
  std::string kernel;  // row of the product's table
  // Bound of what that row's rounding of the weights adds to their noise of quantizing.
  double added_noise_db = 0;
};

class LinearMethod {
 public:
  LinearMethod(std::string name, const LinearShape& shape)
      : name_(std::move(name)), shape_(shape) {}
  virtual ~LinearMethod() = default;
  LinearMethod(const LinearMethod&) = delete;
  LinearMethod& operator=(const LinearMethod&) = delete;

  const std::string& name() const { return name_; }  // checkpoint prefix: "blocks.0.attn1.to_q"
  const LinearShape& shape() const { return shape_; }

  // Name in the scheme table: "none", "mxfp8", "mxint8".
  virtual const char* scheme() const = 0;
  // Why the layer is not quantized although a scheme was asked for; empty when it is.
  virtual std::string reason() const { return {}; }
  // Declares this layer's tensors; `this` must outlive the load.
  virtual void create_weights(checkpoint::ParameterLoader& loader) = 0;
  virtual void process_weights_after_loading(std::span<const checkpoint::StoredTensor> tensors,
                                             kernels::Context& context) = 0;
  // Whether apply() takes LinearOutput::mx.
  virtual bool quantizes_output() const { return false; }
  virtual void apply(LinearInput& input, const LinearOutput& output,
                     kernels::Context& context) const = 0;
  // Of the form in which LinearInput keeps `m` rows for this layer, beside the fp32 rows.
  virtual int64_t quantized_input_bytes(int64_t /*m*/) const { return 0; }
  // Of a quantized layer, after loading: the product that apply() takes for ordinary activations.
  virtual std::optional<LinearProduct> product(const kernels::Context& /*context*/) const {
    return std::nullopt;
  }
  // Bytes that the loaded weights occupy.
  virtual int64_t weight_bytes() const = 0;
  // Bytes of the same tensors in the checkpoint.
  int64_t checkpoint_bytes() const { return checkpoint_bytes_; }

 protected:
  void note_checkpoint_bytes(std::span<const checkpoint::StoredTensor> tensors);
  // Declares a group that process_weights_after_loading() takes.
  void add_to(checkpoint::ParameterLoader& loader, std::vector<checkpoint::ParameterSpec> specs);
  // The epilogue of `output` with this layer's bias, F32 or empty.
  static kernels::EpilogueArgs with_bias(const LinearOutput& output, const Tensor& bias);

 private:
  int64_t checkpoint_bytes_ = 0;
  std::string name_;
  LinearShape shape_;
};

}  // namespace mxvideo::quantization
