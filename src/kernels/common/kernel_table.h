// The table of an op: one row per implementation, best first, the reference last.
//
// Dispatch, tests, benches and `mxvideo doctor` all read the same table. A row runs when this CPU
// has the features it needs and its reject() finds nothing wrong with the arguments; the reference
// rejects nothing, so selection cannot fail unless a row was forced.
#pragma once

#include <span>
#include <string>

#include "base/error.h"
#include "base/system/cpu_features.h"
#include "kernels/common/context.h"

namespace mxvideo::kernels {

template <class Args>
struct Row {
  const char* name;  // "avx2", "avx512", "highway", "onednn", "reference"
  CpuFeatures requires_cpu;
  // Null when the row can run these arguments, otherwise the reason in a few words.
  const char* (*reject)(const Args&) noexcept;
  void (*run)(const Args&) noexcept;
};

// For rows that take any arguments.
template <class Args>
const char* accept_all(const Args&) noexcept {
  return nullptr;
}

// First row that runs, or the one that context.forced_rows names for `op`. Notes the choice in
// context.log. Throws Code::kInvalidArgument when a forced row does not take these arguments,
// saying why, or when there is no row of that name, and Code::kDevice when the CPU lacks features.
template <class Args>
const Row<Args>& select(const char* op, std::span<const Row<Args>> rows, const Args& args,
                        Context& context) {
  const std::string forced = context.forced_row(op);
  for (const Row<Args>& row : rows) {
    const bool wanted = forced.empty() || forced == row.name;
    if (!wanted) continue;
    const bool runs_here = cpu_has(context.cpu, row.requires_cpu);
    const char* reason = runs_here ? row.reject(args) : "this CPU lacks its features";
    if (reason == nullptr) {
      context.note_choice(op, row.name);
      return row;
    }
    if (!forced.empty()) {
      throw Error(runs_here ? Code::kInvalidArgument : Code::kDevice,
                  std::string("kernel ") + op + "=" + row.name + " cannot run: " + reason);
    }
  }
  throw Error(Code::kInvalidArgument, std::string("kernel ") + op + " has no row '" + forced + "'");
}

}  // namespace mxvideo::kernels
