#include "pipeline/residency.h"

#include <utility>

namespace mxvideo::pipeline {

std::shared_ptr<const Residency::Component> Residency::acquire(const std::string& name, Load load) {
  if (budget_ == 0) return load();
  std::unique_lock lock(mutex_);
  Slot& slot = slots_[name];
  loaded_.wait(lock, [&] { return !slot.loading; });
  slot.last_use = ++clock_;
  if (slot.component != nullptr) return slot.component;
  slot.loading = true;
  lock.unlock();
  std::shared_ptr<const Component> component;
  try {
    component = load();
  } catch (...) {
    lock.lock();
    slot.loading = false;
    loaded_.notify_all();
    throw;
  }
  lock.lock();
  slot.loading = false;
  if (component->resident_bytes() <= budget_) {
    slot.component = component;
    trim(0);
  }
  loaded_.notify_all();
  return component;
}

void Residency::make_room(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  trim(bytes);
}

void Residency::trim(int64_t bytes) {
  while (true) {
    int64_t held = bytes;
    Slot* oldest = nullptr;
    for (auto& [name, slot] : slots_) {
      if (slot.component == nullptr) continue;
      held += slot.component->resident_bytes();
      const bool used = slot.component.use_count() > 1;
      if (!used && (oldest == nullptr || slot.last_use < oldest->last_use)) oldest = &slot;
    }
    if (held <= budget_ || oldest == nullptr) return;
    oldest->component.reset();
  }
}

}  // namespace mxvideo::pipeline
