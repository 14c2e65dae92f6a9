// The table of an op: one row per implementation, best first, the reference last.
//
// Dispatch, tests, benches and `mxvideo doctor` all read the same table. A row runs on the devices
// of its kind, when this CPU has the features it needs and its reject() finds nothing wrong with
// the arguments. On the processors of the host the reference rejects nothing, so selection cannot
// fail unless a row was forced; on another device a call that no row of it takes is an error: no
// row of the host steps in.
//
// The op's entry cuts a call into what a row of the host computes at a time (run); a row of another
// device makes the whole call (launch), with working memory that it asks for beforehand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "base/system/cpu_features.h"
#include "kernels/common/context.h"
#include "kernels/common/workload.h"

namespace mxvideo::kernels {

// `RowArgs`: Args, or what the op's entry makes of them for its rows, with their working memory.
template <class Args, class RowArgs = Args>
struct Row {
  using Arguments = Args;
  const char* name;  // "avx2", "avx512", "highway", "onednn", "reference"
  CpuFeatures requires_cpu;
  // Null when the row can run these arguments, otherwise the reason in a few words. Looks at
  // shapes, types and what is known of weights, never at activations: they may not be there yet.
  const char* (*reject)(const Args&, const RunPolicy&) noexcept;
  void (*run)(const RowArgs&) noexcept;
  // Optional: the same of values, asked where the row is about to run (row_for_values()).
  const char* (*decline)(const Args&) noexcept = nullptr;
  DeviceKind device = DeviceKind::kCpu;
  // Of rows of other devices, which have no run: launches the call. `workspace` holds
  // workspace_bytes(args), is null where that is null, and lives until the launched work has run.
  void (*launch)(const Args&, std::byte* workspace, Context&) = nullptr;
  int64_t (*workspace_bytes)(const Args&) noexcept = nullptr;
};

// Whether `row` makes the whole call: then it has launched it, and the entry has nothing to do.
template <class RowType>
bool launched_by(const RowType& row, const typename RowType::Arguments& args, Context& context) {
  if (row.launch == nullptr) return false;
  const int64_t bytes = row.workspace_bytes == nullptr ? 0 : row.workspace_bytes(args);
  // Given back when the host is done with it, which what is launched later may use.
  Buffer workspace(context.memory(), bytes);
  row.launch(args, workspace.data(), context);
  return true;
}

// For rows that take any arguments.
template <class Args>
const char* accept_all(const Args&, const RunPolicy&) noexcept {
  return nullptr;
}

// The row of the Ascend NPU, which makes whole calls by CANN's operators.
template <class RowType, class Args = typename RowType::Arguments>
constexpr RowType ascend_row(void (*launch)(const Args&, std::byte*, Context&),
                             const char* (*reject)(const Args&,
                                                   const RunPolicy&) noexcept = accept_all<Args>) {
  RowType row{"ascend", kCpuNone, reject, nullptr};
  row.device = DeviceKind::kAscend;
  row.launch = launch;
  return row;
}

// Those of the host, which stand in a table behind the rows of other devices.
template <class RowType>
std::span<const RowType> host_rows(std::span<const RowType> rows) {
  while (!rows.empty() && rows.front().device != DeviceKind::kCpu) rows = rows.subspan(1);
  return rows;
}

[[noreturn]] inline void fail_forced_row(Code code, const char* op, const char* row,
                                         const char* reason) {
  throw Error(code, std::string("kernel ") + op + "=" + row + " cannot run: " + reason);
}

// No row was found: of the name that was forced, or of the device, whose last row said `reason`, or
// which has none.
[[noreturn]] inline void fail_without_row(const char* op, const std::string& forced,
                                          DeviceKind device, const char* reason) {
  const std::string kernel = std::string("kernel ") + op + ": device " + device_kind_name(device);
  if (!forced.empty()) throw Error(Code::kInvalidArgument, kernel + " has no row '" + forced + "'");
  if (reason == nullptr) throw Error(Code::kUnsupported, kernel + " has no row of this op");
  throw Error(Code::kUnsupported, kernel + " has no row for this call: " + reason);
}

// First row of the context's device that runs, or the one that context.policy.forced_rows names for
// `op`. Notes the choice in the context, and workload(args) where it wants that. A row has the
// members name, device, requires_cpu and reject() of Row, and its Arguments. Throws
// Code::kInvalidArgument when a forced row does not take these arguments, saying why, or when there
// is no row of that name, Code::kDevice when the CPU lacks features, and Code::kUnsupported when
// the device has no row for these arguments.
template <class RowType>
const RowType& select(const char* op, std::span<const RowType> rows,
                      const typename RowType::Arguments& args, Context& context) {
  const std::string forced = context.forced_row(op);
  const DeviceKind device = context.device().kind();
  const char* last_reason = nullptr;
  for (const RowType& row : rows) {
    const bool wanted = row.device == device && (forced.empty() || forced == row.name);
    if (!wanted) continue;
    const bool runs_here = cpu_has(context.cpu, row.requires_cpu);
    const char* reason =
        runs_here ? row.reject(args, context.policy) : "this CPU lacks its features";
    if (reason == nullptr) {
      context.note_choice(op, row.name);
      if (context.on_work) context.on_work(op, row.name, workload(args));
      return row;
    }
    if (!forced.empty()) {
      fail_forced_row(runs_here ? Code::kInvalidArgument : Code::kDevice, op, row.name, reason);
    }
    last_reason = reason;
  }
  fail_without_row(op, forced, device, last_reason);
}

// The row of `choice`, or, where it declines the values, the next row that
// takes them; the choice that was noted becomes that one. For work that runs, whose context is
// still there. Throws Code::kInvalidArgument when a forced row declines.
template <class RowType>
const RowType& row_for_values(const Choice& choice, std::span<const RowType> rows,
                              const RowType& chosen, const typename RowType::Arguments& args,
                              Context& context) {
  for (const RowType* row = &chosen; row != rows.data() + rows.size(); ++row) {
    const bool runs_here = row == &chosen || (row->device == chosen.device &&
                                              cpu_has(context.cpu, row->requires_cpu) &&
                                              row->reject(args, context.policy) == nullptr);
    const char* reason = runs_here && row->decline != nullptr ? row->decline(args) : nullptr;
    if (reason != nullptr && !context.forced_row(choice.op.c_str()).empty()) {
      fail_forced_row(Code::kInvalidArgument, choice.op.c_str(), row->name, reason);
    }
    if (!runs_here || reason != nullptr) continue;
    if (row != &chosen) context.change_choice(choice, row->name);
    return *row;
  }
  return rows.back();
}

}  // namespace mxvideo::kernels
