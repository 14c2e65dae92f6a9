// Which scheme each linear layer of a component gets, from what was asked for and from what the
// files declare. Immutable after construction; thread-safe.
//
//   --quantization   files declare nothing     files declare quantized layers
//   (not given)      none                      what the files declare
//   none             none                      refused: they cannot be both
//   mxfp8, mxint8    quantized while loading   what the files declare, with a notice; refused when
//                                              that is the other one of the two for some layer
//   modelslim        refused: no description   what quant_model_description*.json declares
//
// Source of the order: SGLang's _resolve_quant_config, with its holes closed.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/transformer_checkpoint.h"
#include "formats/mx_block.h"
#include "quantization/linear_method.h"

namespace mxvideo::quantization {

struct QuantizationOptions {
  std::string scheme;  // a name of quantization_schemes(); empty: as the files declare
  // Globs over layer names. Those layers compute unquantized; where the files hold them quantized,
  // with the decoded weights.
  std::vector<std::string> ignored_layers;
  // Of activations, and of weights that are quantized while loading; the scheme says which element.
  // Files may declare another rule of the activations' scales, which then holds.
  formats::MxOptions mx;
};

// `options.mx` with the element of `options.scheme`.
formats::MxOptions mx_options(const QuantizationOptions& options);

class QuantizationConfig {
 public:
  virtual ~QuantizationConfig() = default;
  virtual std::string_view name()
      const = 0;  // "none", "mxfp8", "mxint8" or the source of a declaration
  // `quantizable` is the model's policy: true for the ten linears of a transformer block.
  // Throws Code::kUnsupported when the scheme cannot hold a layer of this shape.
  virtual std::unique_ptr<LinearMethod> make_linear(const std::string& layer,
                                                    const LinearShape& shape,
                                                    bool quantizable) const = 0;
  // Tells the loader of tensors that belong to the declaration and to no layer.
  virtual void declare_companions(checkpoint::ParameterLoader& /*loader*/) const {}
};

// The scheme that quantizes nothing, and the one that makes models smaller.
inline constexpr const char* kNoScheme = "none";
inline constexpr const char* kSmallScheme = "mxfp8";

struct SchemeEntry {
  const char* name;
  const char* description;
  // Of weights that it quantizes while loading; none: it does not.
  std::optional<formats::MxElement> element = std::nullopt;
};

std::span<const SchemeEntry> quantization_schemes();

enum class SchemeSet : uint8_t {
  kAll,
  kUndeclared,  // without those that files declare
  kQuantizing,  // while loading
};
std::vector<std::string> scheme_names(SchemeSet set);

// Whether a name is of a scheme that multiplies quantized values; also of a declaration's source.
bool quantizes(std::string_view scheme);
// Of a scheme that quantizes while loading; none for others.
std::optional<formats::MxElement> scheme_element(std::string_view scheme);

struct ResolvedQuantization {
  std::unique_ptr<QuantizationConfig> config;
  std::vector<std::string> notices;  // what a user should know and did not ask for
};

// Joins what was asked for with what the files of one transformer declare, by the table above.
// Throws Code::kInvalidArgument for an unknown scheme (naming the known ones), for a contradiction
// and for ignored layers where nothing is quantized; Code::kUnsupported for layers of types that
// mxvideo cannot compute, naming layers and types.
ResolvedQuantization resolve_quantization(const QuantizationOptions& options,
                                          const checkpoint::QuantizationDeclaration& declared);

// What the files say of activations, for whoever runs or rewrites them: layers whose activations
// are not quantized, and rules of their scales that are not those of `options`.
std::vector<std::string> activation_notices(const QuantizationOptions& options,
                                            const checkpoint::QuantizationDeclaration& declared);

// The same as resolve_quantization() for files that declare nothing.
std::unique_ptr<QuantizationConfig> make_quantization_config(const QuantizationOptions& options);

// The first glob that matches the layer; null without one.
const std::string* find_ignoring_glob(const std::vector<std::string>& globs,
                                      std::string_view layer);

}  // namespace mxvideo::quantization
