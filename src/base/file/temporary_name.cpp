#include "base/file/temporary_name.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>

#include "base/error.h"

namespace mxvideo {
namespace {

enum SlotState : int { kFree, kTaken, kFile, kDirectory };

// Fixed storage, because a handler may not allocate.
struct Slot {
  std::atomic<int> state{kFree};
  std::array<char, 4096> name{};
};
std::array<Slot, 64> slots;

std::atomic<int> creating{0};
std::atomic<bool> closing{false};

void sleep_one_millisecond() {
  const timespec time{.tv_sec = 0, .tv_nsec = 1'000'000};
  ::nanosleep(&time, nullptr);
}

// While it lives, no handler runs on this thread, and remove_open_atomic_files() on another one
// waits.
class Creation {
 public:
  Creation() {
    sigset_t handled;
    sigemptyset(&handled);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&handled, signal);
    pthread_sigmask(SIG_BLOCK, &handled, &before_);
    ++creating;
    if (!closing) return;
    --creating;
    while (true) ::pause();  // the process is ending
  }
  ~Creation() {
    --creating;
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  Creation(const Creation&) = delete;
  Creation& operator=(const Creation&) = delete;

 private:
  sigset_t before_{};
};

int take_slot() {
  for (size_t i = 0; i < slots.size(); ++i) {
    int expected = kFree;
    if (slots[i].state.compare_exchange_strong(expected, kTaken)) return static_cast<int>(i);
  }
  throw Error(Code::kInternal, "more than 64 files are being written at a time");
}

// As the kernel's struct linux_dirent64; opendir() would allocate.
struct Entry {
  ino64_t inode;
  off64_t offset;
  unsigned short size;
  unsigned char type;
  char name[1];
};

}  // namespace

bool TemporaryName::create(const std::filesystem::path& path, Kind kind, FunctionRef<bool()> make) {
  const std::string text = path.string();
  check(slot_ < 0, "an object remembers one name");
  if (text.size() >= slots[0].name.size()) {
    errno = ENAMETOOLONG;
    return false;
  }
  const Creation creation;
  const int index = take_slot();
  Slot& slot = slots[static_cast<size_t>(index)];
  std::memcpy(slot.name.data(), text.c_str(), text.size() + 1);
  const bool made = make();
  slot.state = !made ? kFree : kind == Kind::kFile ? kFile : kDirectory;
  if (made) slot_ = index;
  return made;
}

void TemporaryName::forget() {
  if (slot_ >= 0) slots[static_cast<size_t>(slot_)].state = kFree;
  slot_ = -1;
}

void remove_files_in(const char* directory) noexcept {
  const int fd = ::open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  alignas(Entry) std::array<char, 4096> buffer;
  long got = 0;
  while ((got = ::syscall(SYS_getdents64, fd, buffer.data(), buffer.size())) > 0) {
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer.data() + at);
      ::unlinkat(fd, entry->name, 0);  // fails for "." and ".."
      at += entry->size;
    }
  }
  ::close(fd);
}

void remove_open_atomic_files() noexcept {
  constexpr int kLongestWait = 1000;
  closing = true;
  for (int i = 0; i < kLongestWait && creating > 0; ++i) sleep_one_millisecond();
  for (const Slot& slot : slots) {
    const int state = slot.state;
    if (state == kFile) ::unlink(slot.name.data());
    if (state != kDirectory) continue;
    remove_files_in(slot.name.data());
    ::rmdir(slot.name.data());
  }
}

}  // namespace mxvideo
