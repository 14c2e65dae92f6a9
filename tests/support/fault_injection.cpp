#include "support/fault_injection.h"

#include <stdexcept>
#include <utility>

#include "base/file/atomic_file.h"
#include "support/test_support.h"

namespace mxvideo::test {
namespace {

void add_environment(const Fault& fault, ProcessOptions* options) {
  options->environment["LD_PRELOAD"] = MXVIDEO_FAULT_SHIM;
  // A sanitizer's library wants to be loaded before this one; it need not be.
  options->environment["ASAN_OPTIONS"] = "verify_asan_link_order=0";
  options->environment["FAULT_DIRECTORY"] = fault.directory.string();
  options->environment["FAULT_MODE"] = fault.mode;
  options->environment["FAULT_AT"] = std::to_string(fault.at);
  options->environment["FAULT_ERRNO"] = std::to_string(fault.error);
}

}  // namespace

ProcessResult run_with_fault(ProcessOptions options, const Fault& fault) {
  add_environment(fault, &options);
  return run_process(options);
}

int64_t count_calls(const ProcessOptions& options, const std::filesystem::path& directory) {
  const TemporaryDirectory temporary;
  const std::filesystem::path file = temporary.path() / "count";
  ProcessOptions counted = options;
  counted.environment["FAULT_COUNT_FILE"] = file.string();
  const ProcessResult result =
      run_with_fault(std::move(counted), {.directory = directory, .mode = "count"});
  if (result.exit_code != 0) throw std::runtime_error("the run to count failed: " + result.err);
  return std::stoll(read_file(file, 100));
}

}  // namespace mxvideo::test
