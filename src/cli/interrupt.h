// SIGINT, SIGTERM and, unless it was ignored, SIGHUP. The first one asks the running generation to
// stop; a second one removes half-written files and ends the process at once.
#pragma once

#include "base/cancellation.h"

namespace mxvideo::cli {

// Installs the handlers; `token` must live until the process ends.
void install_interrupt_handlers(CancellationToken& token);

// The signal that asked to stop, 0 if none did.
int received_signal();

}  // namespace mxvideo::cli
