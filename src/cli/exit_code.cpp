#include "cli/exit_code.h"

namespace mxvideo::cli {

ExitCode exit_code(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return kExitUsage;
    case Code::kNotFound:
    case Code::kCorruptFile:
    case Code::kUnsupported:
      return kExitModel;
    case Code::kDevice:
      return kExitHardware;
    case Code::kOutOfMemory:
      return kExitOutOfMemory;
    case Code::kNumerics:
      return kExitNumerics;
    case Code::kIo:
      return kExitIo;
    case Code::kMismatch:
      return kExitMismatch;
    case Code::kCancelled:
      return kExitInterrupted;
    case Code::kInternal:
      return kExitInternal;
  }
  return kExitInternal;
}

}  // namespace mxvideo::cli
