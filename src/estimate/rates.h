// How fast kinds of calls are on this machine. Plain values; not thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "device/device.h"

namespace mxvideo::estimate {

struct Rate {
  double seconds = 0;  // for an amount of 1: a flop or a byte (Work::amount())
  double spread = 0;   // half of what the middle half of the repetitions covers, over the median
};

// On what rates were measured, and so where they hold.
struct Machine {
  std::string device;    // kind: "cpu", …
  std::string cpu;       // model name
  std::string features;  // instruction sets
  int threads = 0;
  std::string program;  // version

  bool operator==(const Machine&) const = default;
};
// With the present number of threads.
Machine this_machine(const Device& device);

class Rates {
 public:
  void set(const std::string& key, Rate rate) { rates_[key] = rate; }
  std::optional<Rate> find(const std::string& key) const;
  // The median of what is known of this op and row in other shapes.
  std::optional<Rate> of_row(const std::string& op, const std::string& row) const;
  const std::map<std::string, Rate>& all() const { return rates_; }

 private:
  std::map<std::string, Rate> rates_;
};

}  // namespace mxvideo::estimate
