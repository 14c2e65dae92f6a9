// What one run hands to every kernel call: its device, which rows are allowed, what was chosen.
// One Context per run; not shared between threads (a kernel's own worker threads never touch it).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "base/system/cpu_features.h"
#include "device/device.h"
#include "tensor/tensor.h"

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

// What a run decides about its kernels. Held once, by the run's Context; whoever makes one passes
// it whole.
struct RunPolicy {
  // op -> row name, from `--kernel op=row`.
  std::map<std::string, std::string, std::less<>> forced_rows = {};
  Compute compute = Compute::kAuto;
  AttentionProducts attention = AttentionProducts::kFp32;
};

struct Workload;  // workload.h

// A row that an op took, and the class of layers that called it ("" where nobody said).
struct Choice {
  std::string layers;
  std::string op;
  std::string row;
  auto operator<=>(const Choice&) const = default;
};

class Context {
 public:
  Context() = default;
  explicit Context(RunPolicy run_policy, Device& device = cpu_device())
      : policy(std::move(run_policy)), device_(&device), memory_(&device) {}

  Device& device() const { return *device_; }
  // Where working memory comes from: the device, or what a stage has planned (WorkingMemory).
  Memory& memory() const { return *memory_; }
  // Uninitialised, on the device.
  Tensor tensor(const Shape& shape, DType dtype = DType::kF32) const {
    return {dtype, shape, memory()};
  }
  // Of what a layer hands to the next one, in the device's type of it; likewise.
  Tensor activations(const Shape& shape) const {
    return {device().activation_type(), shape, memory()};
  }
  // A copy of host values, I32 [values.size()]; empty without values.
  Tensor upload(std::span<const int32_t> values) const;
  // What an op does with the memory of its arguments. `work` holds copies of all that it needs:
  // nothing may look at that memory before, nor at the caller's variables after.
  template <class Work>
  void launch(Work&& work) const {
    device_->launch(std::forward<Work>(work));
  }

  std::string forced_row(const char* op) const;
  void note_choice(const char* op, const char* row);
  // A call that was noted took another row of its op.
  void change_choice(const Choice& from, const char* to);
  // Calls by op and row, of all layers.
  std::map<std::pair<std::string, std::string>, int64_t> choices() const;
  const std::map<Choice, int64_t>& choices_by_layers() const { return choices_; }

  // Features that select() may use; tests narrow it to run one instruction set only.
  CpuFeatures cpu = cpu_features();
  RunPolicy policy;
  // The class of layers that calls now; models say so.
  const char* layers = "";
  // Optional: called at each choice, which is where a call of that op begins; benches take the
  // time.
  std::function<void(const char* op)> on_choice;
  // Optional: called at each choice with what the call does; plans add it up.
  std::function<void(const char* op, const char* row, const Workload& workload)> on_work;
  // Of calls that are noted, how many each stands for: Repeats.
  double repeats = 1;

 private:
  friend class WorkingMemory;

  Device* device_ = &cpu_device();
  Memory* memory_ = &cpu_device();
  std::map<Choice, int64_t> choices_;
};

// Says which class of layers calls, while it lives.
class Layers {
 public:
  Layers(Context& context, const char* layers)
      : context_(context), before_(std::exchange(context.layers, layers)) {}
  ~Layers() { context_.layers = before_; }
  Layers(const Layers&) = delete;
  Layers& operator=(const Layers&) = delete;

 private:
  Context& context_;
  const char* before_;
};

// Says how often what is called now is done, where a device that does not compute is shown it once,
// while it lives; within another one, so often as often.
class Repeats {
 public:
  Repeats(Context& context, double times)
      : context_(context), before_(std::exchange(context.repeats, context.repeats * times)) {}
  ~Repeats() { context_.repeats = before_; }
  Repeats(const Repeats&) = delete;
  Repeats& operator=(const Repeats&) = delete;

 private:
  Context& context_;
  double before_;
};

}  // namespace mxvideo::kernels
