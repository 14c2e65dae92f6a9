#include "support/ascend_stand_in/world.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "support/ascend_stand_in/handles.h"
#include "support/ascend_stand_in/memory.h"
#include "support/ascend_stand_in/queue.h"

namespace ascend_stand_in {
namespace {

constexpr const char* kVariable = "ASCEND_STAND_IN";

struct ThreadDevice {
  int32_t device = -1;
  uint64_t generation = 0;
};
thread_local ThreadDevice thread_device;

[[noreturn]] void stop(const std::string& text) {
  std::fprintf(stderr, "ascend stand-in: %s\n", text.c_str());
  std::abort();
}

int lateness_of(const std::string& name) {
  if (name == "eager") return kStandinEager;
  if (name == "random") return kStandinRandom;
  if (name == "latest") return kStandinLatest;
  stop(std::string(kVariable) + ": late=" + name + " is neither eager, random nor latest");
}

void apply(World& world, const std::string& key, const std::string& value) {
  Settings& settings = world.settings;
  if (key == "soc") {
    settings.soc = value;
  } else if (key == "devices") {
    settings.devices = static_cast<uint32_t>(std::stoul(value));
  } else if (key == "memory") {
    settings.memory_bytes = std::stoull(value);
  } else if (key == "fail") {
    world.calls_to_failure = std::stoull(value);
  } else if (key == "seed") {
    settings.seed = std::stoull(value);
  } else if (key == "late") {
    settings.lateness = lateness_of(value);
  } else if (key == "abort") {
    settings.abort = value != "0";
  } else if (key == "report") {
    settings.report_file = value;
  } else {
    stop(std::string(kVariable) + ": unknown key '" + key + "'");
  }
}

void read_variable(World& world) {
  const char* text = std::getenv(kVariable);
  if (text == nullptr) return;
  std::istringstream items(text);
  for (std::string item; std::getline(items, item, ';');) {
    const size_t equals = item.find('=');
    if (equals == std::string::npos) stop(std::string(kVariable) + ": '" + item + "' has no '='");
    apply(world, item.substr(0, equals), item.substr(equals + 1));
  }
}

void write_at_exit() { world().write_report_file(); }

}  // namespace

World::World()
    : handles(std::make_unique<Handles>()),
      memory(std::make_unique<Memory>()),
      queue(std::make_unique<Queue>(*this)) {
  read_variable(*this);
  engine_.seed(settings.seed);
  if (!settings.report_file.empty()) std::atexit(write_at_exit);
}

World::~World() = default;

uint64_t World::random(uint64_t below) { return engine_() % below; }

void World::reseed(uint64_t seed) {
  settings.seed = seed;
  engine_.seed(seed);
}

void World::misuse(const std::string& text) {
  misuses.push_back(text);
  if (!settings.abort) return;
  write_report_file();
  stop("misuse: " + text);
}

void World::write_report_file() {
  if (settings.report_file.empty()) return;
  std::ofstream file(settings.report_file);
  for (const std::string& text : misuses) file << "misuse: " << text << '\n';
  const StandinCounters& c = counters;
  file << "calls " << c.calls << "\nlaunches " << c.launches << "\nhost_to_device_bytes "
       << c.host_to_device_bytes << "\ndevice_to_host_bytes " << c.device_to_host_bytes
       << "\nhandles "
       << c.tensors + c.scalars + c.int_arrays + c.tensor_lists + c.executors + c.streams + c.events
       << "\ndevice_bytes " << c.device_bytes << "\nhost_bytes " << c.host_bytes
       << "\npeak_device_bytes " << c.peak_device_bytes << '\n';
  for (const auto& [op, count] : launches) file << op << ' ' << count << '\n';
}

World& world() {
  static World* const instance = new World;
  return *instance;
}

void reset_world() {
  World& w = world();
  std::unique_lock lock(w.mutex);
  w.queue->drop_all(lock);
  w.handles->clear();
  w.memory->clear();
  w.settings = {};
  w.counters = {};
  w.launches.clear();
  w.call_names.clear();
  w.misuses.clear();
  w.calls_to_failure = 0;
  w.initialized = false;
  w.device_references = 0;
  ++w.generation;
  read_variable(w);
  w.reseed(w.settings.seed);
}

std::string& recent_message() {
  thread_local std::string message;
  return message;
}

void refuse(int status, const std::string& text) { throw Refusal{status, text}; }

void require_context(World& w) {
  if (thread_device.device >= 0 && thread_device.generation == w.generation) return;
  refuse(ACL_ERROR_RT_CONTEXT_NULL, "this thread has no device: aclrtSetDevice was not called");
}

void set_thread_device(World& w, int32_t device) { thread_device = {device, w.generation}; }

int run_call(const CallInfo& info, const std::function<void(World&)>& body) {
  World& w = world();
  const std::lock_guard lock(w.mutex);
  ++w.counters.calls;
  w.call_names.push_back(info.name);
  w.queue->let_some_go();
  const bool fails = w.calls_to_failure > 0 && --w.calls_to_failure == 0;
  int status = 0;
  std::string text;
  try {
    if (!fails || info.injection == Injection::kAfter) body(w);
  } catch (const Refusal& refusal) {
    status = refusal.status;
    text = refusal.text;
  }
  if (fails) {
    status = info.injected_status;
    text = "failure injected into call " + std::to_string(w.counters.calls);
  }
  if (status != 0) recent_message() = std::string(info.name) + ": " + text;
  return status;
}

}  // namespace ascend_stand_in
