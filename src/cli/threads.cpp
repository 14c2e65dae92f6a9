#include "cli/threads.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/background_job.h"
#include "base/parallel.h"
#include "base/system/available_processors.h"
#include "base/text/format.h"

namespace mxvideo::cli {
namespace {

// libgomp's own default is 300,000 turns of one pause instruction each, 12 ms on Zen 5 (39 ns a
// turn, 2026-11-29, two cores). There the demo takes 0.46 s with it, 0.47 s with 1,000 turns and
// 0.75 s with none; beside one other busy process 1.3, 0.90 and 0.71 s, and with several up to ten
// times as long with 10,000 turns and more.
constexpr const char* kSpinCount = "1000";

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

}  // namespace

void use_available_processors() {
  if (!is_set("OMP_NUM_THREADS")) set_num_threads(available_processors().count);
}

void use_threads(int asked, Progress& progress) {
  if (asked > 0) set_num_threads(asked);
  const int wanted = num_threads();
  const int found = possible_threads(wanted);
  if (found >= wanted) return;
  // One is left for what else makes threads: the pool ends and makes its own again as loops need.
  const int possible = std::max(1, found - 1);
  set_num_threads(possible);
  // The pool's threads are made now, before a video encoder takes what is left.
  parallel_for(possible, 1, [](int64_t, int64_t) {});
  progress.line("note: the system lets this process have " + count_of(possible, "thread") +
                " instead of " + std::to_string(wanted) +
                " (a limit on processes, such as ulimit -u or a container's, or no memory)");
}

void restart_with_short_spins(char** argv) {
  for (const char* policy : {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}) {
    if (is_set(policy)) return;
  }
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error || ::setenv("GOMP_SPINCOUNT", kSpinCount, 1) != 0) return;
  ::execv(program.c_str(), argv);
  ::unsetenv("GOMP_SPINCOUNT");
}

}  // namespace mxvideo::cli
