// What handles stand for: descriptions of tensors, numbers, arrays and executors. Handles are
// addresses that nothing can read and that are never given twice, so a stale one is known as such.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/ascend_stand_in/tensor.h"
#include "support/ascend_stand_in/world.h"

namespace ascend_stand_in {

struct Scalar {
  double value;
  aclDataType dtype;
};

struct IntArray {
  std::vector<int64_t> values;
};

struct TensorList {
  std::vector<const void*> tensors;  // handles
};

struct Executor;

class Handles {
 public:
  Handles();
  ~Handles();
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;

  void* next();
  void clear();  // what was given stays invalid

  std::map<const void*, std::shared_ptr<Tensor>> tensors;
  std::map<const void*, Scalar> scalars;
  std::map<const void*, IntArray> int_arrays;
  std::map<const void*, TensorList> tensor_lists;
  std::map<const void*, std::shared_ptr<Executor>> executors;

 private:
  static constexpr uint64_t kSpan = uint64_t{1} << 36;  // bytes of addresses
  std::byte* base_;
  uint64_t given_ = 0;
};

// The entry behind a handle; throws Refusal after noting a misuse when there is none.
template <class Map>
typename Map::mapped_type& find_handle(World& world, Map& map, const void* handle,
                                       const char* what) {
  const auto found = map.find(handle);
  if (found == map.end()) {
    world.misuse(std::string(what) + " is no handle, or was destroyed before");
    refuse(ACLNN_ERR_INNER_NULLPTR, std::string(what) + " is not valid");
  }
  return found->second;
}

}  // namespace ascend_stand_in
