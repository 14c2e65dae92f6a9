// Streams, events, and the thread that runs what was queued.
//
// A task is let go at a random call (or at once, or not before the call that waits, see
// ascend_stand_in.h) and then run by the queue's own thread, which takes the streams in random
// turns. What each stream's work touches is kept until the host has waited for it, with vector
// clocks of the streams, so that an access that nothing orders is found whether or not it happens
// to go well. Everything is called under World::mutex.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "support/ascend_stand_in/memory.h"

namespace ascend_stand_in {

class World;

// Bytes that a task reads or writes: of one block, which stays alive with it.
struct Access {
  std::shared_ptr<Block> block;
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool write = false;
};

struct Task {
  std::string name;
  std::function<void()> run;  // without the mutex
  std::vector<Access> accesses;
};

class Queue {
 public:
  explicit Queue(World& world);

  // A stream is known by its handle; the null handle is the device's default stream.
  void create_stream(const void* handle);
  void destroy_stream(const void* handle);  // waits
  void submit(const void* stream, Task task);
  void synchronize_stream(const void* stream);
  void synchronize_all();

  void create_event(const void* handle, uint32_t flags);
  void destroy_event(const void* handle);
  void record(const void* event, const void* stream);
  void wait(const void* stream, const void* event);
  void synchronize_event(const void* event);

  // The program touches bytes now, by a call that does not wait, or frees them: a misuse unless it
  // has waited for all work that conflicts.
  void host_touches(const std::string& call, const Access& access);

  void let_some_go();
  // Forgets what was not let go, waits for what runs.
  void drop_all(std::unique_lock<std::mutex>& lock);

 private:
  using Clock = std::map<uint64_t, uint64_t>;  // stream -> how many of its tasks come before

  struct Item {
    Task task;
    Clock after;  // what must have run before; of a wait
  };
  struct Pending {
    uint64_t number;  // of the task in its stream, from 1
    std::string name;
    Access access;
  };
  struct Join {
    uint64_t number;
    Clock clock;
  };
  struct Stream {
    uint64_t id = 0;
    std::deque<Item> items;  // not yet begun; the first is number begun + 1
    uint64_t queued = 0;
    uint64_t let_go = 0;
    uint64_t begun = 0;
    uint64_t done = 0;
    uint64_t waited = 0;  // by the host
    Clock clock;          // of other streams: before what is queued next
    std::vector<Pending> pending;
    std::vector<Join> joins;
  };
  struct Event {
    uint32_t flags = 0;
    Clock clock;                        // what the last record caught
    std::map<uint64_t, uint64_t> uses;  // by streams: number of the last record or wait
  };

  Stream& stream_of(const void* handle);
  Event& event_of(const void* handle);
  Stream* find(uint64_t id);
  void push(Stream& stream, Item item);
  void check_order(const Stream& stream, const Task& task);
  void protect(const Access& access);
  void unprotect(const std::shared_ptr<Block>& block);
  void let_go(const Clock& clock);
  void wait_for(const Clock& clock);
  void host_waited(const Clock& clock);
  void work();
  Stream* next_stream();

  World& world_;
  std::map<const void*, uint64_t> ids_;
  std::map<uint64_t, Stream> streams_;  // by id
  std::map<const void*, Event> events_;
  uint64_t last_id_ = 0;
  bool started_ = false;
  bool busy_ = false;
  std::mt19937_64 turns_{1};
};

}  // namespace ascend_stand_in
