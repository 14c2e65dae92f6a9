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

std::string Context::forced_row(const char* op) const {
  const auto found = forced_rows.find(op);
  return found == forced_rows.end() ? std::string{} : found->second;
}

void Context::note_choice(const char* op, const char* row) {
  ++choices[{op, row}];
  if (on_choice) on_choice(op);
}

}  // namespace mxvideo::kernels
