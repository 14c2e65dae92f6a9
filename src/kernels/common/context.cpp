#include "kernels/common/context.h"

namespace mxvideo::kernels {

std::string Context::forced_row(const char* op) const {
  const auto found = forced_rows.find(op);
  return found == forced_rows.end() ? std::string{} : found->second;
}

void Context::note_choice(const char* op, const char* row) {
  ++choices[{op, row}];
  if (on_choice) on_choice(op);
}

}  // namespace mxvideo::kernels
