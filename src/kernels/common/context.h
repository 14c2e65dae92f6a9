// What one generation hands to every kernel call: which rows are allowed, what was chosen.
// One Context per generation; not shared between threads (a kernel's own worker threads never
// touch it).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "base/system/cpu_features.h"

namespace mxvideo::kernels {

// Which products a quantized layer may use.
enum class Compute : uint8_t {
  kExact,  // those of the format's definition: what a row's own rounding adds stays below 0.1 dB
  kAuto,   // and those that round further, where the weights bound what that adds
  kFast,   // any
};
// "exact", "auto", "fast"
const char* compute_name(Compute compute) noexcept;
// Throws Code::kInvalidArgument.
Compute parse_compute(const std::string& name);

// What attention multiplies. Self attention of the diffusion transformer only: the rest of a model
// stays in fp32.
enum class AttentionProducts : uint8_t {
  kFp32,
  kInt8,  // rounded to integers: kernels/attention/int8.h
};
// "fp32", "int8"
const char* attention_products_name(AttentionProducts products) noexcept;
// Throws Code::kInvalidArgument.
AttentionProducts parse_attention_products(const std::string& name);

struct Context {
  // Features that select() may use; tests narrow it to run one instruction set only.
  CpuFeatures cpu = cpu_features();
  Compute compute = Compute::kAuto;
  AttentionProducts attention = AttentionProducts::kFp32;
  // op -> row name, from `--kernel op=row`.
  std::map<std::string, std::string, std::less<>> forced_rows;
  // (op, row) -> number of calls; goes into the run report.
  std::map<std::pair<std::string, std::string>, int64_t> choices;
  // Optional: called at each choice, which is where a call of that op begins; benches take the
  // time.
  std::function<void(const char* op)> on_choice;

  std::string forced_row(const char* op) const;
  void note_choice(const char* op, const char* row);
};

}  // namespace mxvideo::kernels
