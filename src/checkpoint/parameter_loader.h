// Strict loading of one component: a model declares every parameter it needs, the loader compares
// that list with the checkpoint, reports everything wrong in one error before it reads a byte of
// data, then streams the tensors in file order, dropping their pages as it goes.
//
// No parameter is ever invented, defaulted or skipped. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "kernels/common/context.h"

namespace mxvideo::checkpoint {

// What the bytes of a tensor must hold beyond its type.
enum class Content : uint8_t {
  kAny,
  kE8m0Scales,  // no byte is 0xFF, the NaN of E8M0
};

struct ParameterSpec {
  std::string name;
  Shape shape;
  // Allowed storage types; the usual three when empty: F32, F16, BF16.
  std::vector<DType> dtypes;
  Content content = Content::kAny;
};

// Called once, with the tensors of a group in the order of its specs. Views are into the mapping
// and may be unaligned; they are released after the call and the work that it launched. Only that
// work reads them: what a callback keeps, it allocates on the context's device.
using GroupCallback = std::function<void(std::span<const StoredTensor>, kernels::Context&)>;

struct LoadReport {
  int64_t tensors = 0;           // read; those of add_unused() and ignore() are not counted
  int64_t checkpoint_bytes = 0;  // of these tensors, as stored on disk
};

// What load() needs, found by a load on a device that does not compute.
struct LoadPlan {
  int64_t checkpoint_bytes = 0;
  int64_t resident = 0;  // when it is done
  int64_t peak = 0;      // at most on the way, with the pages of the group that is being read
};

class ParameterLoader {
 public:
  // Declares tensors that are consumed together (say, weight and bias of one layer). Declaring a
  // name twice is a broken contract.
  void add_group(std::vector<ParameterSpec> specs, GroupCallback on_loaded);

  // Declares one tensor that becomes an F32 tensor of this shape. `destination` must live until
  // load() returns.
  void add_f32(const std::string& name, const Shape& shape, Tensor* destination);

  // Declares tensors that must be there with these shapes and types and are not read.
  void add_unused(std::vector<ParameterSpec> specs);

  // A name that may be present and is not read (e.g. a tied duplicate).
  void ignore(const std::string& name);

  // Every declared parameter, in the order of declaration.
  std::vector<ParameterSpec> declared() const;

  // Throws one Code::kCorruptFile, or that of model_family.h where the checkpoint is another model
  // and is said to be one first, that lists missing, unexpected, wrong-dtype and wrong-shape
  // tensors and those of bad content together (quote.h's name_list of each kind, with counts).
  // Reads no data but that of tensors whose content is specified.
  void check_key_set(const Checkpoint& checkpoint) const;

  // check_key_set(), then reads everything, to the context's device. Throws Code::kIo when a file
  // changed while it was read. What a callback throws passes through.
  LoadReport load(const Checkpoint& checkpoint, kernels::Context& context);
  // The same to the host.
  LoadReport load(const Checkpoint& checkpoint);

  // load() on the device of `dry`, which does not compute: reads no data, leaves the model with
  // parameters that only have their sizes.
  LoadPlan load_dry(const Checkpoint& checkpoint, kernels::Context& dry);

 private:
  struct Group {
    std::vector<ParameterSpec> specs;
    GroupCallback on_loaded;  // empty: checked only
  };
  struct ReadyGroup;
  void declare(Group group);
  // Loads one group; returns the bytes of its tensors as they are stored.
  static int64_t load_group(const ReadyGroup& entry, kernels::Context& context);
  // The groups that are read, in the order of the files.
  std::vector<ReadyGroup> in_file_order(const Checkpoint& checkpoint) const;

  std::vector<Group> groups_;
  std::set<std::string> names_;
  std::set<std::string> ignored_;
};

}  // namespace mxvideo::checkpoint
