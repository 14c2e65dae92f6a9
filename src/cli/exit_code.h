// Exit statuses of the mxvideo command: the contract that scripts rely on.
#pragma once

#include "base/error.h"

namespace mxvideo::cli {

enum ExitCode : int {
  kExitOk = 0,
  kExitInternal = 1,
  kExitUsage = 2,          // flags and request values
  kExitModel = 3,          // model or checkpoint invalid or not found
  kExitHardware = 4,       // this machine or its driver cannot do it
  kExitOutOfMemory = 5,    // predicted or real
  kExitNumerics = 6,       // the numerics guard stopped the run
  kExitIo = 7,             // disk full, permission, broken pipe
  kExitMismatch = 8,       // a verification found a difference
  kExitHangUp = 129,       // 128 + the signal: SIGHUP
  kExitInterrupted = 130,  // SIGINT
  kExitTerminated = 143,   // SIGTERM
};

ExitCode exit_code(Code code);

}  // namespace mxvideo::cli
