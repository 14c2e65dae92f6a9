#include "kernels/common/context.h"

#include "base/error.h"

namespace mxvideo::kernels {

const char* compute_name(Compute compute) noexcept {
  switch (compute) {
    case Compute::kExact:
      return "exact";
    case Compute::kAuto:
      return "auto";
    case Compute::kFast:
      return "fast";
  }
  return "unknown";
}

Compute parse_compute(const std::string& name) {
  for (const Compute compute : {Compute::kExact, Compute::kAuto, Compute::kFast}) {
    if (name == compute_name(compute)) return compute;
  }
  throw Error(Code::kInvalidArgument, "compute '" + name + "' is none of exact, auto and fast");
}

const char* attention_products_name(AttentionProducts products) noexcept {
  return products == AttentionProducts::kInt8 ? "int8" : "fp32";
}

AttentionProducts parse_attention_products(const std::string& name) {
  for (const AttentionProducts products : {AttentionProducts::kFp32, AttentionProducts::kInt8}) {
    if (name == attention_products_name(products)) return products;
  }
  throw Error(Code::kInvalidArgument, "attention '" + name + "' is neither fp32 nor int8");
}

std::string Context::forced_row(const char* op) const {
  const auto found = forced_rows.find(op);
  return found == forced_rows.end() ? std::string{} : found->second;
}

void Context::note_choice(const char* op, const char* row) {
  ++choices[{op, row}];
  if (on_choice) on_choice(op);
}

}  // namespace mxvideo::kernels
