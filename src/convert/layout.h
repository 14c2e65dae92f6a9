// Words that quantize and repack share: layouts of output, model types, byte sizes, hooks.
// Pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/cancellation.h"
#include "checkpoint/wan/model_index.h"

namespace mxvideo::convert {

// How a converted model is laid out.
//   kModelSlim: what msmodelslim exports: original Wan names, a folder per expert (A14B) or the
//               root (5B), quant_model_weight_w8a8_*.safetensors and its description.
//   kDiffusers: a Diffusers directory with a description per transformer, as SGLang loads it.
//   kComfy:     one file per expert, original Wan names, comfy_quant markers, swizzled scales.
enum class Layout : uint8_t { kModelSlim, kDiffusers, kComfy };

std::string_view layout_name(Layout layout);  // "modelslim", "diffusers", "comfy"
// "original" is another name of modelslim. Throws Code::kInvalidArgument.
Layout parse_layout(std::string_view name);

// "Wan2.2-T2V-A14B", "Wan2.2-I2V-A14B", "Wan2.2-TI2V-5B".
std::string_view model_type_name(checkpoint::WanVariant variant);
// Throws Code::kInvalidArgument.
checkpoint::WanVariant parse_model_type(std::string_view name);
bool has_two_experts(checkpoint::WanVariant variant);

// What a long run tells its caller; all optional. Called from the calling thread.
struct ConvertHooks {
  std::function<void(std::string_view phase, int64_t done, int64_t total)> progress;
  std::function<void(const std::string& line)> notice;
  // By quantize_model(), with what it will return, before min_sqnr_db may fail the run.
  std::function<void(const nlohmann::ordered_json& report)> report;
  const CancellationToken* cancellation = nullptr;

  void throw_if_cancelled() const {
    if (cancellation != nullptr) cancellation->throw_if_cancelled();
  }
  void note(const std::string& line) const {
    if (notice) notice(line);
  }
};

}  // namespace mxvideo::convert
