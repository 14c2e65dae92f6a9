// Which components of a model stay loaded between the runs of one Engine: those that somebody uses,
// and of the others as many as a budget of bytes has room for; the one whose last use is longest
// ago leaves first. Without a budget a component lives as long as its users, and each user loads
// its own. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/function_ref.h"

namespace mxvideo::pipeline {

class Residency {
 public:
  struct Component {
    virtual ~Component() = default;
    virtual int64_t resident_bytes() const = 0;
  };
  using Load = FunctionRef<std::shared_ptr<const Component>()>;

  explicit Residency(int64_t budget) : budget_(budget) {}

  // The component of this name, which load() makes where it is not there; meanwhile others who want
  // it wait. Passes through what load() throws.
  std::shared_ptr<const Component> acquire(const std::string& name, Load load);
  bool keeps() const { return budget_ > 0; }
  // Lets go of unused components until `bytes` more fit, or there are none.
  void make_room(int64_t bytes);

 private:
  struct Slot {
    std::shared_ptr<const Component> component;
    bool loading = false;
    uint64_t last_use = 0;
  };
  void trim(int64_t bytes);  // with mutex_ held

  int64_t budget_;
  std::mutex mutex_;
  std::condition_variable loaded_;
  std::map<std::string, Slot> slots_;
  uint64_t clock_ = 0;
};

}  // namespace mxvideo::pipeline
