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

Tensor Context::upload(std::span<const int32_t> values) const {
  if (values.empty()) return {};
  Tensor copy = tensor({static_cast<int64_t>(values.size())}, DType::kI32);
  device().upload(copy.data(), reinterpret_cast<const std::byte*>(values.data()), copy.bytes());
  return copy;
}

std::string Context::forced_row(const char* op) const {
  const auto found = policy.forced_rows.find(op);
  return found == policy.forced_rows.end() ? std::string{} : found->second;
}

void Context::note_choice(const char* op, const char* row) {
  ++choices_[{.layers = layers, .op = op, .row = row}];
  if (on_choice) on_choice(op);
}

void Context::change_choice(const Choice& from, const char* to) {
  const auto noted = choices_.find(from);
  if (noted != choices_.end() && --noted->second == 0) choices_.erase(noted);
  ++choices_[{.layers = from.layers, .op = from.op, .row = to}];
}

std::map<std::pair<std::string, std::string>, int64_t> Context::choices() const {
  std::map<std::pair<std::string, std::string>, int64_t> all;
  for (const auto& [choice, calls] : choices_) all[{choice.op, choice.row}] += calls;
  return all;
}

}  // namespace mxvideo::kernels
