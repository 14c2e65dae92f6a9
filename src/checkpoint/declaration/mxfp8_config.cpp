#include <array>

#include "checkpoint/declaration/config_scheme.h"
#include "checkpoint/declaration/declared_keys.h"

namespace mxvideo::checkpoint {
namespace {

constexpr std::array kKeys = {
    DeclaredKey{"quant_method"},
    DeclaredKey{"ignored_layers"},
    DeclaredKey{"modules_to_not_convert"},
    // The files hold codes and scales; false would mean that a run quantizes floats.
    DeclaredKey{"is_checkpoint_mxfp8_serialized", "[true]"},
    DeclaredKey{"is_checkpoint_fp8_serialized", "[true]"},
    DeclaredKey{"use_mxfp8", "[true]"},
    DeclaredKey{"activation_scheme", R"(["dynamic"])"},
    DeclaredKey{"weight_block_size", "[[1, 32]]"},
    DeclaredKey{"group_size", "[32]"},
    DeclaredKey{"scale_fmt", R"(["ue8m0"])"},
    DeclaredKey{"fmt", R"(["e4m3"])"},
    DeclaredKey{"packed_modules_mapping"},  // fused layers of another program
    DeclaredKey{"kv_cache_scheme"},         // these models have no cache of keys and values
    DeclaredKey{"kv_cache_quant_algo"},
};

}  // namespace

ConfigScheme read_mxfp8_config(const JsonFields& fields) {
  ConfigScheme scheme;
  scheme.rules.push_back({.layers = {LayerPattern::all()},
                          .scheme = mxfp8_layer("mxfp8", refuse_keys(fields.object(), kKeys))});
  scheme.ignored = layer_patterns(fields, "ignored_layers");
  for (LayerPattern& pattern : layer_patterns(fields, "modules_to_not_convert")) {
    scheme.ignored.push_back(std::move(pattern));
  }
  return scheme;
}

}  // namespace mxvideo::checkpoint
