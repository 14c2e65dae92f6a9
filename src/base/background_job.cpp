#include "base/background_job.h"

#include <latch>
#include <system_error>
#include <thread>
#include <vector>

namespace mxvideo {

std::future<void> start_job(std::function<void()> job) {
  try {
    return std::async(std::launch::async, job);
  } catch (const std::system_error&) {
    return std::async(std::launch::deferred, job);
  }
}

int possible_threads(int wanted) {
  std::latch done(1);
  std::vector<std::thread> threads;
  try {
    for (int i = 1; i < wanted; ++i) threads.emplace_back([&done] { done.wait(); });
  } catch (const std::system_error&) {  // what there is, is the answer
  }
  done.count_down();
  for (std::thread& thread : threads) thread.join();
  return static_cast<int>(threads.size()) + 1;
}

}  // namespace mxvideo
