#include "cli/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

#include "base/file/temporary_name.h"

namespace mxvideo::cli {
namespace {

std::atomic<CancellationToken*> active_token{nullptr};
volatile std::sig_atomic_t last_signal = 0;

void handle(int signal) {
  if (last_signal != 0) {
    remove_open_atomic_files();
    _exit(128 + signal);
  }
  last_signal = signal;
  CancellationToken* token = active_token.load();
  if (token != nullptr) token->cancel();
}

}  // namespace

void install_interrupt_handlers(CancellationToken& token) {
  active_token.store(&token);
  struct sigaction action {};
  action.sa_handler = handle;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  // A run under nohup is to outlive its terminal.
  struct sigaction hangup {};
  if (sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN) {
    sigaction(SIGHUP, &action, nullptr);
  }
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error, reported as such
  std::signal(SIGXFSZ, SIG_IGN);  // so is a file beyond the limit of `ulimit -f`
}

int received_signal() { return last_signal; }

}  // namespace mxvideo::cli
