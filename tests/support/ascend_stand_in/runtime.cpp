// libascendcl: initialisation, devices, memory, streams, events.
#include <algorithm>

#include "support/ascend_stand_in/handles.h"
#include "support/ascend_stand_in/memory.h"
#include "support/ascend_stand_in/queue.h"
#include "support/ascend_stand_in/world.h"

namespace ascend_stand_in {
namespace {

constexpr Injection kAfter = Injection::kAfter;

void require_pointer(const void* pointer, const char* name) {
  if (pointer == nullptr) refuse(ACL_ERROR_RT_PARAM_INVALID, std::string(name) + " is null");
}

void check_device(World& w, int32_t device) {
  if (device >= 0 && static_cast<uint32_t>(device) < w.settings.devices) return;
  refuse(ACL_ERROR_RT_INVALID_DEVICEID,
         "device " + std::to_string(device) + " of " + std::to_string(w.settings.devices));
}

void free_block(World& w, const char* call, void* address, bool device) {
  require_pointer(address, "address");
  const auto where = reinterpret_cast<uintptr_t>(address);
  const std::shared_ptr<Block> block = w.memory->find(where);
  if (block == nullptr || block->address != where || block->device != device) {
    w.misuse(std::string(call) + ": the address is not one that was allocated, or is free already");
    refuse(ACL_ERROR_RT_PARAM_INVALID, "the address is not one that was allocated");
  }
  w.queue->host_touches(call, {block, where, where + std::max<size_t>(block->bytes, 1), true});
  StandinCounters& c = w.counters;
  --(device ? c.device_blocks : c.host_blocks);
  (device ? c.device_bytes : c.host_bytes) -= block->bytes;
  w.memory->release(*block);
}

// Sets `block` and whether the bytes lie in a live device block. Refuses bytes that reach beyond
// their block or that lie in device memory that is free.
struct Place {
  std::shared_ptr<Block> block;  // null: memory of the program
  std::byte* data = nullptr;
  bool device() const { return block != nullptr && block->device; }
};

Place place_of(World& w, const void* address, size_t bytes, const char* name) {
  require_pointer(address, name);
  const auto where = reinterpret_cast<uintptr_t>(address);
  const std::shared_ptr<Block> block = w.memory->find(where);
  if (block == nullptr || where == block->address + block->bytes) {
    if (w.memory->is_device_address(where)) {
      w.misuse(std::string(name) + " of a copy is device memory that is not allocated");
      refuse(ACL_ERROR_RT_PARAM_INVALID, std::string(name) + " is not allocated");
    }
    return {.block = nullptr, .data = static_cast<std::byte*>(const_cast<void*>(address))};
  }
  if (!block->holds(where, bytes)) {
    w.misuse(std::string(name) + " of a copy reaches beyond its allocation");
    refuse(ACL_ERROR_RT_PARAM_INVALID, std::string(name) + " reaches beyond its allocation");
  }
  return {.block = block, .data = block->at(where)};
}

struct Copy {
  Place to;
  Place from;
  const void* to_address;
  const void* from_address;
  size_t bytes;
};

Access access_of(const Place& place, const void* address, size_t bytes, bool write) {
  const auto begin = reinterpret_cast<uintptr_t>(address);
  return {.block = place.block, .begin = begin, .end = begin + bytes, .write = write};
}

// The addresses must be what the kind says.
void check_kind(const Copy& copy, aclrtMemcpyKind kind) {
  if (kind == ACL_MEMCPY_DEFAULT) return;
  const bool to_device = kind == ACL_MEMCPY_HOST_TO_DEVICE || kind == ACL_MEMCPY_DEVICE_TO_DEVICE;
  const bool from_device = kind == ACL_MEMCPY_DEVICE_TO_HOST || kind == ACL_MEMCPY_DEVICE_TO_DEVICE;
  if (kind < ACL_MEMCPY_HOST_TO_HOST || kind > ACL_MEMCPY_DEFAULT) {
    refuse(ACL_ERROR_RT_PARAM_INVALID, "kind " + std::to_string(kind) + " is unknown here");
  }
  if (copy.to.device() != to_device || copy.from.device() != from_device) {
    refuse(ACL_ERROR_RT_PARAM_INVALID, std::string("kind ") + std::to_string(kind) +
                                           ", but the copy goes from " +
                                           (copy.from.device() ? "device" : "host") + " to " +
                                           (copy.to.device() ? "device" : "host"));
  }
}

void count_copy(World& w, const Copy& copy) {
  StandinCounters& c = w.counters;
  if (copy.to.device() && copy.from.device()) {
    ++c.device_to_device_copies;
    c.device_to_device_bytes += copy.bytes;
  } else if (copy.to.device()) {
    ++c.host_to_device_copies;
    c.host_to_device_bytes += copy.bytes;
  } else if (copy.from.device()) {
    ++c.device_to_host_copies;
    c.device_to_host_bytes += copy.bytes;
  }
}

Copy describe_copy(World& w, void* to, size_t to_size, const void* from, size_t count) {
  require_context(w);
  if (count == 0) refuse(ACL_ERROR_RT_PARAM_INVALID, "count is 0");
  if (count > to_size) {
    refuse(ACL_ERROR_RT_PARAM_INVALID,
           "count " + std::to_string(count) + " is more than destMax " + std::to_string(to_size));
  }
  return {.to = place_of(w, to, count, "the destination"),
          .from = place_of(w, from, count, "the source"),
          .to_address = to,
          .from_address = from,
          .bytes = count};
}

uint64_t checksum(const std::byte* data, size_t bytes) {
  uint64_t sum = 14695981039346656037u;  // FNV-1a
  for (size_t i = 0; i < bytes; ++i) {
    sum = (sum ^ static_cast<uint64_t>(data[i])) * 1099511628211u;
  }
  return sum;
}

// What a queued copy does. Pinned memory of the destination is garbage until then; a source that
// changed meanwhile is a misuse.
std::function<void()> copy_work(const Copy& copy) {
  const bool pinned_source = copy.from.block != nullptr && !copy.from.device();
  if (copy.to.block != nullptr && !copy.to.device()) {
    std::fill_n(copy.to.data, copy.bytes, std::byte{0xa5});
  }
  const uint64_t sum = pinned_source ? checksum(copy.from.data, copy.bytes) : 0;
  return [copy, pinned_source, sum] {
    if (pinned_source && checksum(copy.from.data, copy.bytes) != sum) {
      const std::lock_guard lock(world().mutex);
      world().misuse("aclrtMemcpyAsync: the host changed the source of a copy that was queued");
    }
    std::copy_n(copy.from.data, copy.bytes, copy.to.data);
  };
}

void copy_async(World& w, const Copy& copy, aclrtStream stream) {
  const bool inside = copy.to.device() && copy.from.device();
  if (!copy.to.device() && !copy.from.device()) {
    refuse(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "no asynchronous copies from host to host");
  }
  const auto both =
      reinterpret_cast<uintptr_t>(copy.to_address) | reinterpret_cast<uintptr_t>(copy.from_address);
  if (inside && both % 64 != 0) {
    refuse(ACL_ERROR_RT_ADDR_UNALIGNED, "copies inside a device are between multiples of 64 bytes");
  }
  Task task{.name = "aclrtMemcpyAsync", .run = {}, .accesses = {}};
  if (copy.to.block != nullptr) {
    task.accesses.push_back(access_of(copy.to, copy.to_address, copy.bytes, true));
  }
  if (copy.from.block != nullptr) {
    task.accesses.push_back(access_of(copy.from, copy.from_address, copy.bytes, false));
  }
  const bool pageable = copy.to.block == nullptr || copy.from.block == nullptr;
  task.run = copy_work(copy);
  count_copy(w, copy);
  w.queue->submit(stream, std::move(task));
  // "With pageable memory of the host the call returns when the copy is done."
  if (pageable) w.queue->synchronize_stream(stream);
}

}  // namespace

aclError aclInit(const char* config_path) {
  static_cast<void>(config_path);
  return run_call({.name = "aclInit", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR},
                  [&](World& w) {
                    if (w.initialized) {
                      refuse(ACL_ERROR_REPEAT_INITIALIZE, "aclInit was called before");
                    }
                    w.initialized = true;
                  });
}

aclError aclFinalize() {
  return run_call(
      {.name = "aclFinalize", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR, .injection = kAfter},
      [&](World& w) {
        if (!w.initialized) refuse(ACL_ERROR_UNINITIALIZE, "aclInit was not called");
        w.initialized = false;
      });
}

const char* aclGetRecentErrMsg() {
  thread_local std::string text;
  text.swap(recent_message());
  recent_message().clear();
  return text.c_str();
}

const char* aclrtGetSocName() {
  const char* name = nullptr;
  run_call({.name = "aclrtGetSocName", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR},
           [&](World& w) {
             if (w.settings.devices == 0) refuse(ACL_ERROR_RT_INVALID_DEVICEID, "no device");
             name = w.settings.soc.c_str();
           });
  return name;
}

aclError aclrtGetDeviceCount(uint32_t* count) {
  return run_call({.name = "aclrtGetDeviceCount", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR},
                  [&](World& w) {
                    require_pointer(count, "count");
                    if (!w.initialized) refuse(ACL_ERROR_UNINITIALIZE, "aclInit was not called");
                    *count = w.settings.devices;
                  });
}

aclError aclrtSetDevice(int32_t device) {
  return run_call({.name = "aclrtSetDevice", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR},
                  [&](World& w) {
                    if (!w.initialized) refuse(ACL_ERROR_UNINITIALIZE, "aclInit was not called");
                    check_device(w, device);
                    set_thread_device(w, device);
                    ++w.device_references;
                  });
}

aclError aclrtResetDevice(int32_t device) {
  return run_call({.name = "aclrtResetDevice",
                   .injected_status = ACL_ERROR_RT_INTERNAL_ERROR,
                   .injection = kAfter},
                  [&](World& w) {
                    check_device(w, device);
                    if (w.device_references == 0) {
                      refuse(ACL_ERROR_RT_CONTEXT_NULL, "no thread has set the device");
                    }
                    if (--w.device_references > 0) return;
                    if (w.counters.streams + w.counters.events > 0) {
                      w.misuse("aclrtResetDevice: streams or events are alive");
                    }
                    w.queue->synchronize_all();
                    ++w.generation;
                  });
}

aclError aclrtGetMemInfo(aclrtMemAttr attr, size_t* free, size_t* total) {
  return run_call({.name = "aclrtGetMemInfo", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR},
                  [&](World& w) {
                    require_context(w);
                    require_pointer(free, "free");
                    require_pointer(total, "total");
                    // The accelerators of servers have no DDR of their own.
                    const bool has = attr == ACL_HBM_MEM;
                    *total = has ? w.settings.memory_bytes : 0;
                    *free = has ? w.settings.memory_bytes - w.counters.device_bytes : 0;
                  });
}

aclError aclrtMalloc(void** address, size_t size, aclrtMemMallocPolicy policy) {
  return run_call(
      {.name = "aclrtMalloc", .injected_status = ACL_ERROR_RT_MEMORY_ALLOCATION}, [&](World& w) {
        require_context(w);
        require_pointer(address, "address");
        if (size == 0) refuse(ACL_ERROR_RT_PARAM_INVALID, "size is 0");
        if (policy < ACL_MEM_MALLOC_HUGE_FIRST || policy > ACL_MEM_MALLOC_NORMAL_ONLY) {
          refuse(ACL_ERROR_RT_PARAM_INVALID, "policy " + std::to_string(policy) + " is unknown");
        }
        StandinCounters& c = w.counters;
        const uint64_t left = w.settings.memory_bytes - c.device_bytes;
        const auto block = size > left ? nullptr : w.memory->allocate_device(size);
        if (block == nullptr) {
          refuse(ACL_ERROR_RT_MEMORY_ALLOCATION, "out of memory: " + std::to_string(size) +
                                                     " bytes wanted, " + std::to_string(left) +
                                                     " free");
        }
        ++c.device_blocks;
        c.device_bytes += size;
        c.peak_device_bytes = std::max(c.peak_device_bytes, c.device_bytes);
        *address = reinterpret_cast<void*>(block->address);
      });
}

aclError aclrtFree(void* address) {
  return run_call(
      {.name = "aclrtFree", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR, .injection = kAfter},
      [&](World& w) { free_block(w, "aclrtFree", address, true); });
}

aclError aclrtMallocHost(void** address, size_t size) {
  return run_call({.name = "aclrtMallocHost", .injected_status = ACL_ERROR_RT_MEMORY_ALLOCATION},
                  [&](World& w) {
                    require_context(w);
                    require_pointer(address, "address");
                    if (size == 0) refuse(ACL_ERROR_RT_PARAM_INVALID, "size is 0");
                    const auto block = w.memory->allocate_host(size);
                    if (block == nullptr)
                      refuse(ACL_ERROR_RT_MEMORY_ALLOCATION, "out of pinned memory");
                    ++w.counters.host_blocks;
                    w.counters.host_bytes += size;
                    *address = reinterpret_cast<void*>(block->address);
                  });
}

aclError aclrtFreeHost(void* address) {
  return run_call({.name = "aclrtFreeHost",
                   .injected_status = ACL_ERROR_RT_INTERNAL_ERROR,
                   .injection = kAfter},
                  [&](World& w) { free_block(w, "aclrtFreeHost", address, false); });
}

aclError aclrtMemcpy(void* to, size_t to_size, const void* from, size_t count,
                     aclrtMemcpyKind kind) {
  return run_call(
      {.name = "aclrtMemcpy", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR}, [&](World& w) {
        const Copy copy = describe_copy(w, to, to_size, from, count);
        check_kind(copy, kind);
        // At once: it waits for no stream.
        if (copy.to.block != nullptr) {
          w.queue->host_touches("aclrtMemcpy", access_of(copy.to, to, count, true));
        }
        if (copy.from.block != nullptr) {
          w.queue->host_touches("aclrtMemcpy", access_of(copy.from, from, count, false));
        }
        std::copy_n(copy.from.data, count, copy.to.data);
        count_copy(w, copy);
      });
}

aclError aclrtMemcpyAsync(void* to, size_t to_size, const void* from, size_t count,
                          aclrtMemcpyKind kind, aclrtStream stream) {
  return run_call({.name = "aclrtMemcpyAsync", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR},
                  [&](World& w) {
                    const Copy copy = describe_copy(w, to, to_size, from, count);
                    check_kind(copy, kind);
                    copy_async(w, copy, stream);
                  });
}

aclError aclrtMemsetAsync(void* to, size_t to_size, int32_t value, size_t count,
                          aclrtStream stream) {
  return run_call(
      {.name = "aclrtMemsetAsync", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR}, [&](World& w) {
        const Copy set = describe_copy(w, to, to_size, to, count);
        if (!set.to.device()) {
          refuse(ACL_ERROR_RT_PARAM_INVALID, "the stand-in sets device memory only");
        }
        w.queue->submit(
            stream,
            {.name = "aclrtMemsetAsync",
             .run = [set,
                     value] { std::fill_n(set.to.data, set.bytes, static_cast<std::byte>(value)); },
             .accesses = {access_of(set.to, to, count, true)}});
      });
}

aclError aclrtCreateStream(aclrtStream* stream) {
  return run_call({.name = "aclrtCreateStream", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR},
                  [&](World& w) {
                    require_context(w);
                    require_pointer(stream, "stream");
                    *stream = w.handles->next();
                    w.queue->create_stream(*stream);
                    ++w.counters.streams;
                  });
}

aclError aclrtDestroyStream(aclrtStream stream) {
  return run_call({.name = "aclrtDestroyStream",
                   .injected_status = ACL_ERROR_RT_INTERNAL_ERROR,
                   .injection = kAfter},
                  [&](World& w) {
                    require_pointer(stream, "stream");
                    w.queue->destroy_stream(stream);
                    --w.counters.streams;
                  });
}

aclError aclrtSynchronizeStream(aclrtStream stream) {
  return run_call({.name = "aclrtSynchronizeStream",
                   .injected_status = ACL_ERROR_RT_AICORE_EXCEPTION,
                   .injection = kAfter},
                  [&](World& w) {
                    require_context(w);
                    ++w.counters.synchronizations;
                    w.queue->synchronize_stream(stream);
                  });
}

aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag) {
  return run_call(
      {.name = "aclrtCreateEventWithFlag", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR},
      [&](World& w) {
        require_context(w);
        require_pointer(event, "event");
        const uint32_t known =
            ACL_EVENT_SYNC | ACL_EVENT_CAPTURE_STREAM_PROGRESS | ACL_EVENT_TIME_LINE;
        if (flag == 0 || (flag & ~known) != 0) {
          refuse(ACL_ERROR_RT_PARAM_INVALID, "flag " + std::to_string(flag) + " is unknown");
        }
        *event = w.handles->next();
        w.queue->create_event(*event, flag);
        ++w.counters.events;
      });
}

aclError aclrtDestroyEvent(aclrtEvent event) {
  return run_call({.name = "aclrtDestroyEvent",
                   .injected_status = ACL_ERROR_RT_INTERNAL_ERROR,
                   .injection = kAfter},
                  [&](World& w) {
                    require_pointer(event, "event");
                    w.queue->destroy_event(event);
                    --w.counters.events;
                  });
}

aclError aclrtRecordEvent(aclrtEvent event, aclrtStream stream) {
  return run_call({.name = "aclrtRecordEvent", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR},
                  [&](World& w) {
                    require_context(w);
                    w.queue->record(event, stream);
                  });
}

aclError aclrtStreamWaitEvent(aclrtStream stream, aclrtEvent event) {
  return run_call({.name = "aclrtStreamWaitEvent", .injected_status = ACL_ERROR_RT_INTERNAL_ERROR},
                  [&](World& w) {
                    require_context(w);
                    w.queue->wait(stream, event);
                  });
}

aclError aclrtSynchronizeEvent(aclrtEvent event) {
  return run_call({.name = "aclrtSynchronizeEvent",
                   .injected_status = ACL_ERROR_RT_AICORE_EXCEPTION,
                   .injection = kAfter},
                  [&](World& w) {
                    require_context(w);
                    ++w.counters.synchronizations;
                    w.queue->synchronize_event(event);
                  });
}

}  // namespace ascend_stand_in
