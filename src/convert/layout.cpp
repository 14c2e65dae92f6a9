#include "convert/layout.h"

#include "base/error.h"
#include "base/text/field.h"
#include "base/text/quote.h"

namespace mxvideo::convert {

using checkpoint::WanVariant;

std::string_view layout_name(Layout layout) {
  switch (layout) {
    case Layout::kModelSlim:
      return "modelslim";
    case Layout::kDiffusers:
      return "diffusers";
    case Layout::kComfy:
      return "comfy";
  }
  return "unknown";
}

Layout parse_layout(std::string_view name) {
  if (name == "modelslim" || name == "original") return Layout::kModelSlim;
  if (name == "diffusers") return Layout::kDiffusers;
  if (name == "comfy") return Layout::kComfy;
  throw Error(Code::kInvalidArgument, field("layout") + ": unknown layout '" + printable(name) +
                                          "'; expected modelslim, diffusers or comfy");
}

std::string_view model_type_name(WanVariant variant) {
  switch (variant) {
    case WanVariant::kT2V:
      return "Wan2.2-T2V-A14B";
    case WanVariant::kI2V:
      return "Wan2.2-I2V-A14B";
    case WanVariant::kTI2V:
      return "Wan2.2-TI2V-5B";
  }
  return "unknown";
}

WanVariant parse_model_type(std::string_view name) {
  for (const WanVariant variant : {WanVariant::kT2V, WanVariant::kI2V, WanVariant::kTI2V}) {
    if (name == model_type_name(variant)) return variant;
  }
  throw Error(Code::kInvalidArgument,
              field("model_type") + ": unknown type '" + printable(name) +
                  "'; expected Wan2.2-T2V-A14B, Wan2.2-I2V-A14B or Wan2.2-TI2V-5B");
}

bool has_two_experts(WanVariant variant) { return variant != WanVariant::kTI2V; }

}  // namespace mxvideo::convert
