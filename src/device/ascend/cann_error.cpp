#include "device/ascend/cann_error.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace mxvideo::ascend {
namespace {

constexpr size_t kLongestMessage = 400;

// In one line, and not more than one can read.
std::string in_one_line(const char* text) {
  std::string line = text != nullptr ? text : "";
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c >= 0 && c < ' '; }, ' ');
  if (line.size() > kLongestMessage) line = line.substr(0, kLongestMessage) + " ...";
  return line;
}

std::string_view meaning(int32_t status) {
  switch (status) {
    case kNullParameter:
      return " (a parameter is missing)";
    case kInvalidParameter:
      return " (a parameter is not accepted)";
    case kUnsupportedPlatform:
      return " (this NPU does not run it)";
    case kBadAlloc:
    case kStorageOverLimit:
    case kMemoryAllocation:
      return " (out of memory)";
    default:
      return "";
  }
}

}  // namespace

void fail(const CannFunctions& cann, const std::string& function, const std::string& what,
          int32_t status) {
  const bool no_memory =
      status == kBadAlloc || status == kStorageOverLimit || status == kMemoryAllocation;
  const std::string said = in_one_line(cann.aclGetRecentErrMsg());
  throw Error(no_memory ? Code::kOutOfMemory : Code::kDevice,
              "device ascend: " + function + (what.empty() ? "" : " " + what) + " gave status " +
                  std::to_string(status) + std::string(meaning(status)) +
                  (said.empty() ? "" : ": " + said));
}

}  // namespace mxvideo::ascend
