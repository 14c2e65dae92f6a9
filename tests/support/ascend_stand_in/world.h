// The one state of the stand-in: settings, counters, what was caught, and the parts that keep
// handles, memory and the queue. Every function of acl_api.h runs inside run_call(), under the one
// mutex; only work of the queue runs without it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "support/ascend_stand_in/acl_api.h"
#include "support/ascend_stand_in/ascend_stand_in.h"

namespace ascend_stand_in {

class Handles;
class Memory;
class Queue;

// Thrown where a call is refused; run_call() turns it into the status and the recent message.
struct Refusal {
  int status;
  std::string text;
};

struct Settings {
  std::string soc = "Ascend950PR_9599";
  uint32_t devices = 1;
  uint64_t memory_bytes = uint64_t{64} << 30;
  uint64_t seed = 1;
  int lateness = kStandinRandom;
  bool abort = false;
  std::string report_file;
};

class World {
 public:
  World();
  ~World();

  // What a real library answers with corruption or a crash.
  void misuse(const std::string& text);
  bool is_a5() const { return settings.soc.starts_with("Ascend950"); }
  uint64_t random(uint64_t below);  // below >= 1
  void reseed(uint64_t seed);
  void write_report_file();

  std::mutex mutex;
  std::condition_variable work_changed;  // for the queue's thread
  std::condition_variable work_done;     // for those who wait
  Settings settings;
  StandinCounters counters = {};
  std::map<std::string, uint64_t> launches;
  std::vector<const char*> call_names;
  std::vector<std::string> misuses;
  uint64_t calls_to_failure = 0;  // 0: none fails
  bool initialized = false;
  int device_references = 0;
  uint64_t generation = 0;  // of the device: grows when it is reset
  std::unique_ptr<Handles> handles;
  std::unique_ptr<Memory> memory;
  std::unique_ptr<Queue> queue;

 private:
  std::mt19937_64 engine_;
};

// Made when first asked for, and never destroyed: the queue's thread may outlive main().
World& world();
// As standin_reset() says; takes the mutex itself.
void reset_world();

// What an injected failure does: instead of the call, or after it, so that nothing leaks and
// nothing runs on when a call that frees or waits "fails".
enum class Injection { kInstead, kAfter };

struct CallInfo {
  const char* name;
  int injected_status;
  Injection injection = Injection::kInstead;
};

// One call of the interface: counts it, lets a random part of the queue go, fails it if it is its
// turn, else runs `body` under the mutex. Sets the thread's recent message on failure.
int run_call(const CallInfo& info, const std::function<void(World&)>& body);

// The calling thread's recent message, and its clearing.
std::string& recent_message();

// Throws Refusal unless the calling thread has set a device that is still there.
void require_context(World& world);
// The calling thread's device; -1 when it has none.
void set_thread_device(World& world, int32_t device);

// Throws Refusal.
[[noreturn]] void refuse(int status, const std::string& text);

}  // namespace ascend_stand_in
