#include <cstring>

#include "support/ascend_stand_in/memory.h"
#include "support/ascend_stand_in/world.h"

namespace ascend_stand_in {
namespace {

std::string& control_text() {
  thread_local std::string text;
  return text;
}

void with_world(const std::function<void(World&)>& body) {
  World& w = world();
  const std::lock_guard lock(w.mutex);
  body(w);
}

}  // namespace
}  // namespace ascend_stand_in

using ascend_stand_in::control_text;
using ascend_stand_in::with_world;
using ascend_stand_in::World;

void standin_reset() { ascend_stand_in::reset_world(); }

void standin_set_soc(const char* name) {
  with_world([&](World& w) { w.settings.soc = name; });
}

void standin_set_devices(uint32_t count) {
  with_world([&](World& w) { w.settings.devices = count; });
}

void standin_set_memory(size_t bytes) {
  with_world([&](World& w) { w.settings.memory_bytes = bytes; });
}

void standin_fail_call(uint64_t n) {
  with_world([&](World& w) { w.calls_to_failure = n; });
}

void standin_set_seed(uint64_t seed) {
  with_world([&](World& w) { w.reseed(seed); });
}

void standin_set_lateness(int lateness) {
  with_world([&](World& w) { w.settings.lateness = lateness; });
}

void standin_set_abort(bool abort) {
  with_world([&](World& w) { w.settings.abort = abort; });
}

const char* standin_report() {
  with_world([&](World& w) {
    control_text().clear();
    for (const std::string& line : w.misuses) control_text() += line + '\n';
  });
  return control_text().c_str();
}

void standin_clear_report() {
  with_world([&](World& w) { w.misuses.clear(); });
}

void standin_counters(StandinCounters* counters) {
  with_world([&](World& w) { *counters = w.counters; });
}

void standin_clear_counters() {
  with_world([&](World& w) {
    StandinCounters& c = w.counters;
    c.calls = c.launches = c.synchronizations = 0;
    c.host_to_device_copies = c.host_to_device_bytes = 0;
    c.device_to_host_copies = c.device_to_host_bytes = 0;
    c.device_to_device_copies = c.device_to_device_bytes = 0;
    c.peak_device_bytes = c.device_bytes;
    w.launches.clear();
    w.call_names.clear();
  });
}

uint64_t standin_launches(const char* op) {
  uint64_t count = 0;
  with_world([&](World& w) {
    const auto found = w.launches.find(op);
    count = found == w.launches.end() ? 0 : found->second;
  });
  return count;
}

const char* standin_call_name(uint64_t n) {
  const char* name = "";
  with_world([&](World& w) {
    if (n >= 1 && n <= w.call_names.size()) name = w.call_names[n - 1];
  });
  return name;
}

bool standin_peek(const void* device, size_t bytes, void* to) {
  bool found = false;
  with_world([&](World& w) {
    const auto address = reinterpret_cast<uintptr_t>(device);
    const auto block = w.memory->find(address);
    found = block != nullptr && block->device && block->holds(address, bytes);
    if (found) std::memcpy(to, block->at(address), bytes);
  });
  return found;
}
