#include "support/ascend_stand_in/queue.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <utility>

#include "support/ascend_stand_in/world.h"

namespace ascend_stand_in {
namespace {

bool overlap(const Access& a, const Access& b) { return a.begin < b.end && b.begin < a.end; }

bool conflict(const Access& a, const Access& b) { return (a.write || b.write) && overlap(a, b); }

void join(std::map<uint64_t, uint64_t>& clock, const std::map<uint64_t, uint64_t>& other) {
  for (const auto& [stream, number] : other) {
    uint64_t& known = clock[stream];
    known = std::max(known, number);
  }
}

// The pages that lie inside the access, which alone can be protected without harm to neighbours.
std::pair<uintptr_t, uintptr_t> whole_pages(const Access& access) {
  const uintptr_t begin = (access.begin + kPage - 1) / kPage * kPage;
  const bool to_the_end = access.end == access.block->address + access.block->bytes;
  const uintptr_t end =
      to_the_end ? access.block->address + access.block->mapped : access.end / kPage * kPage;
  return {begin, end};
}

void set_protection(uintptr_t begin, uintptr_t end, int protection) {
  if (begin >= end) return;
  if (mprotect(reinterpret_cast<void*>(begin), end - begin, protection) != 0) std::abort();
}

}  // namespace

Queue::Queue(World& world) : world_(world) { create_stream(nullptr); }

void Queue::create_stream(const void* handle) {
  const uint64_t id = ++last_id_;
  ids_[handle] = id;
  streams_[id].id = id;
}

Queue::Stream* Queue::find(uint64_t id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

Queue::Stream& Queue::stream_of(const void* handle) {
  const auto found = ids_.find(handle);
  if (found == ids_.end()) {
    world_.misuse("a stream is no handle, or was destroyed before");
    refuse(ACL_ERROR_RT_INVALID_HANDLE, "invalid stream");
  }
  return streams_.at(found->second);
}

Queue::Event& Queue::event_of(const void* handle) {
  const auto found = events_.find(handle);
  if (found == events_.end()) {
    world_.misuse("an event is no handle, or was destroyed before");
    refuse(ACL_ERROR_RT_INVALID_HANDLE, "invalid event");
  }
  return found->second;
}

void Queue::destroy_stream(const void* handle) {
  Stream& stream = stream_of(handle);
  if (stream.waited < stream.queued) {
    world_.misuse("aclrtDestroyStream: work of the stream was not waited for");
  }
  synchronize_stream(handle);
  streams_.erase(stream.id);
  ids_.erase(handle);
}

void Queue::check_order(const Stream& stream, const Task& task) {
  for (const auto& [id, other] : streams_) {
    if (id == stream.id) continue;
    const auto known = stream.clock.find(id);
    const uint64_t ordered = known == stream.clock.end() ? 0 : known->second;
    for (const Pending& pending : other.pending) {
      if (pending.number <= ordered) continue;
      for (const Access& access : task.accesses) {
        if (!conflict(access, pending.access)) continue;
        world_.misuse(task.name + (access.write ? " writes" : " reads") + " what " + pending.name +
                      (pending.access.write ? " writes" : " reads") +
                      " on another stream, and no event orders them");
      }
    }
  }
}

void Queue::protect(const Access& access) {
  const auto [begin, end] = whole_pages(access);
  set_protection(begin, end, access.write ? PROT_NONE : PROT_READ);
}

void Queue::unprotect(const std::shared_ptr<Block>& block) {
  set_protection(block->address, block->address + block->mapped, PROT_READ | PROT_WRITE);
  for (const bool write : {false, true}) {
    for (const auto& [id, stream] : streams_) {
      for (const Pending& pending : stream.pending) {
        if (pending.access.block == block && pending.access.write == write) protect(pending.access);
      }
    }
  }
}

void Queue::push(Stream& stream, Item item) {
  check_order(stream, item.task);
  ++stream.queued;
  for (const Access& access : item.task.accesses) {
    stream.pending.push_back({stream.queued, item.task.name, access});
    if (!access.block->device) protect(access);
  }
  stream.items.push_back(std::move(item));
  if (world_.settings.lateness == kStandinEager) let_go({{stream.id, stream.queued}});
}

void Queue::submit(const void* stream, Task task) {
  push(stream_of(stream), {.task = std::move(task), .after = {}});
}

void Queue::let_go(const Clock& clock) {
  for (const auto& [id, number] : clock) {
    Stream* stream = find(id);
    if (stream == nullptr || stream->let_go >= number) continue;
    const uint64_t from = std::max(stream->let_go, stream->begun);
    stream->let_go = number;
    for (uint64_t i = from; i < number; ++i) let_go(stream->items[i - stream->begun].after);
  }
  if (!started_) {
    started_ = true;
    std::thread([this] { work(); }).detach();
  }
  world_.work_changed.notify_all();
}

void Queue::let_some_go() {
  if (world_.settings.lateness != kStandinRandom) return;
  for (auto& [id, stream] : streams_) {
    const uint64_t held = stream.queued - stream.let_go;
    if (held == 0 || world_.random(3) != 0) continue;
    let_go({{id, stream.let_go + 1 + world_.random(held)}});
  }
}

// The caller holds the mutex; it is given up while waiting.
void Queue::wait_for(const Clock& clock) {
  let_go(clock);
  std::unique_lock lock(world_.mutex, std::adopt_lock);
  world_.work_done.wait(lock, [&] {
    return std::all_of(clock.begin(), clock.end(), [&](const auto& entry) {
      const Stream* stream = find(entry.first);
      return stream == nullptr || stream->done >= entry.second;
    });
  });
  lock.release();
  host_waited(clock);
}

void Queue::host_waited(const Clock& clock) {
  for (const auto& [id, number] : clock) {
    Stream* stream = find(id);
    if (stream == nullptr || stream->waited >= number) continue;
    stream->waited = number;
    std::vector<std::shared_ptr<Block>> touched;
    std::erase_if(stream->pending, [&](const Pending& pending) {
      if (pending.number > number) return false;
      if (!pending.access.block->device) touched.push_back(pending.access.block);
      return true;
    });
    for (const std::shared_ptr<Block>& block : touched) unprotect(block);
    std::vector<Join> joins;
    for (const Join& past : std::exchange(stream->joins, {})) {
      if (past.number > number) {
        stream->joins.push_back(past);
      } else {
        joins.push_back(past);
      }
    }
    for (const Join& past : joins) host_waited(past.clock);
  }
}

void Queue::synchronize_stream(const void* handle) {
  const Stream& stream = stream_of(handle);
  wait_for({{stream.id, stream.queued}});
}

void Queue::synchronize_all() {
  Clock clock;
  for (const auto& [id, stream] : streams_) clock[id] = stream.queued;
  wait_for(clock);
}

void Queue::create_event(const void* handle, uint32_t flags) { events_[handle].flags = flags; }

void Queue::destroy_event(const void* handle) {
  const Event& event = event_of(handle);
  for (const auto& [id, number] : event.uses) {
    const Stream* stream = find(id);
    if (stream != nullptr && stream->waited < number) {
      world_.misuse("aclrtDestroyEvent: a record or a wait of the event was not waited for");
      break;
    }
  }
  events_.erase(handle);
}

void Queue::record(const void* handle, const void* stream_handle) {
  Event& event = event_of(handle);
  Stream& stream = stream_of(stream_handle);
  push(stream, {.task = {.name = "aclrtRecordEvent", .run = [] {}, .accesses = {}}, .after = {}});
  event.clock = stream.clock;
  event.clock[stream.id] = stream.queued;
  event.uses[stream.id] = stream.queued;
}

void Queue::wait(const void* stream_handle, const void* handle) {
  Event& event = event_of(handle);
  Stream& stream = stream_of(stream_handle);
  if ((event.flags & ACL_EVENT_SYNC) == 0) {
    refuse(ACL_ERROR_RT_PARAM_INVALID, "the event was made without ACL_EVENT_SYNC");
  }
  Clock after = event.clock;
  after.erase(stream.id);
  push(stream,
       {.task = {.name = "aclrtStreamWaitEvent", .run = [] {}, .accesses = {}}, .after = after});
  join(stream.clock, after);
  stream.joins.push_back({stream.queued, after});
  event.uses[stream.id] = stream.queued;
}

void Queue::synchronize_event(const void* handle) {
  const Clock clock = event_of(handle).clock;
  wait_for(clock);
}

void Queue::host_touches(const std::string& call, const Access& access) {
  for (const auto& [id, stream] : streams_) {
    for (const Pending& pending : stream.pending) {
      if (!conflict(access, pending.access)) continue;
      world_.misuse(call + (access.write ? " changes" : " reads") + " what " + pending.name +
                    (pending.access.write ? " writes" : " reads") +
                    ", and nothing waited for that");
      return;
    }
  }
}

void Queue::drop_all(std::unique_lock<std::mutex>& lock) {
  for (auto& [id, stream] : streams_) stream.items.clear();
  world_.work_done.wait(lock, [&] { return !busy_; });
  streams_.clear();
  ids_.clear();
  events_.clear();
  create_stream(nullptr);
}

Queue::Stream* Queue::next_stream() {
  std::vector<Stream*> ready;
  for (auto& [id, stream] : streams_) {
    if (stream.items.empty() || stream.begun >= stream.let_go) continue;
    const Clock& after = stream.items.front().after;
    const bool runs = std::all_of(after.begin(), after.end(), [&](const auto& entry) {
      const Stream* other = find(entry.first);
      return other == nullptr || other->done >= entry.second;
    });
    if (runs) ready.push_back(&stream);
  }
  return ready.empty() ? nullptr : ready[turns_() % ready.size()];
}

void Queue::work() {
  std::unique_lock lock(world_.mutex);
  while (true) {
    Stream* stream = next_stream();
    if (stream == nullptr) {
      world_.work_changed.wait(lock);
      continue;
    }
    const uint64_t id = stream->id;
    const Task task = std::move(stream->items.front().task);
    stream->items.pop_front();
    ++stream->begun;
    busy_ = true;
    lock.unlock();
    task.run();
    lock.lock();
    busy_ = false;
    if (Stream* same = find(id)) ++same->done;
    world_.work_done.notify_all();
  }
}

}  // namespace ascend_stand_in
