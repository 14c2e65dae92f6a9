// Which scheme each linear layer of a component gets: one object per `--quantization` name, from
// one table. Immutable after construction; thread-safe.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/mx_block.h"
#include "quantization/linear_method.h"

namespace mxvideo::quantization {

struct QuantizationOptions {
  std::string scheme = "none";              // a name of quantization_schemes()
  std::vector<std::string> ignored_layers;  // globs over layer names; those stay unquantized
  formats::MxOptions mx;
};

class QuantizationConfig {
 public:
  virtual ~QuantizationConfig() = default;
  virtual std::string_view name() const = 0;
  // `quantizable` is the model's policy: true for the ten linears of a transformer block.
  // Throws Code::kUnsupported when the scheme cannot hold a layer of this shape.
  virtual std::unique_ptr<LinearMethod> make_linear(const std::string& layer,
                                                    const LinearShape& shape,
                                                    bool quantizable) const = 0;
};

struct SchemeEntry {
  const char* name;
  const char* description;
  std::unique_ptr<QuantizationConfig> (*make)(const QuantizationOptions&);
};

std::span<const SchemeEntry> quantization_schemes();

// Throws Code::kInvalidArgument naming the known schemes, or a malformed glob.
std::unique_ptr<QuantizationConfig> make_quantization_config(const QuantizationOptions& options);

// Shell-style: '*' and '?' match any characters, dots included.
bool glob_match(std::string_view pattern, std::string_view text);

}  // namespace mxvideo::quantization
