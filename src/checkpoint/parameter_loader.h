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

namespace mxvideo::checkpoint {

struct ParameterSpec {
  std::string name;
  Shape shape;
  // Allowed storage types; the usual three when empty: F32, F16, BF16.
  std::vector<DType> dtypes;
};

// Called once, with the tensors of a group in the order of its specs. Views are into the mapping
// and may be unaligned; they are released after the call.
using GroupCallback = std::function<void(std::span<const StoredTensor>)>;

struct LoadReport {
  int64_t tensors = 0;           // read; those of add_unused() and ignore() are not counted
  int64_t checkpoint_bytes = 0;  // of these tensors, as stored on disk
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

  // Throws one Code::kCorruptFile that lists missing, unexpected, wrong-dtype and wrong-shape
  // tensors together (at most 20 names of each kind, with counts). Reads no data.
  void check_key_set(const Checkpoint& checkpoint) const;

  // check_key_set(), then reads everything. Throws Code::kIo when a file changed while it was read.
  // What a callback throws passes through.
  LoadReport load(const Checkpoint& checkpoint);

 private:
  struct Group {
    std::vector<ParameterSpec> specs;
    GroupCallback on_loaded;  // empty: checked only
  };
  void declare(std::vector<ParameterSpec> specs, GroupCallback on_loaded);

  std::vector<Group> groups_;
  std::set<std::string> names_;
  std::set<std::string> ignored_;
};

}  // namespace mxvideo::checkpoint
