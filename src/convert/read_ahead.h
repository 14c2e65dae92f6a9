// Reads tensors of mapped files into memory before they are used, so that the disk works while the
// processor does. One thread calls; one other reads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace mxvideo::convert {

class ReadAhead {
 public:
  // Begins to read these tensors, one behind the other; they outlive this object.
  explicit ReadAhead(const std::vector<const checkpoint::StoredTensor*>& tensors);
  // Stops reading.
  ~ReadAhead() = default;
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Waits until the next `bytes` of the tensors are in memory. Throws Code::kIo when they cannot be
  // read: a failing disk, a file that became shorter.
  void next(int64_t bytes);

 private:
  struct Step {
    const checkpoint::StoredTensor* tensor;
    int64_t first, bytes;
  };

  void run(const std::stop_token& stop);
  // False when reading shall stop.
  bool wait_for_turn(const std::stop_token& stop);

  std::vector<Step> steps_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  int64_t wanted_ = 0;  // bytes that next() asked for
  int64_t read_ = 0;
  std::exception_ptr error_;
  std::jthread thread_;  // last: it uses what is above
};

}  // namespace mxvideo::convert
