// A CANN that can be loaded and does nothing: it finds no NPU. For tests of what is said then.
#include <cstdlib>

#include "device/ascend/cann_functions.h"

using mxvideo::ascend::AclEvent;
using mxvideo::ascend::AclIntArray;
using mxvideo::ascend::AclOpExecutor;
using mxvideo::ascend::AclScalar;
using mxvideo::ascend::AclStream;
using mxvideo::ascend::AclTensor;
using mxvideo::ascend::AclTensorList;

namespace {

// What an environment variable says, else 0.
int32_t status_of(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr ? std::atoi(value) : 0;
}

template <class Result>
Result answer(const char* name) {
  return static_cast<Result>(status_of(name));
}
template <>
const char* answer<const char*>(const char* /*name*/) {
  return "EE9999: the cause\nsolution: none";
}
template <>
AclTensor* answer<AclTensor*>(const char* /*name*/) {
  return nullptr;
}
template <>
AclScalar* answer<AclScalar*>(const char* /*name*/) {
  return nullptr;
}
template <>
AclIntArray* answer<AclIntArray*>(const char* /*name*/) {
  return nullptr;
}
template <>
AclTensorList* answer<AclTensorList*>(const char* /*name*/) {
  return nullptr;
}

}  // namespace

extern "C" {
#define MXVIDEO_DEFINE(result, name, parameters) \
  result name parameters { return answer<result>(#name); }
MXVIDEO_CANN_FUNCTIONS(MXVIDEO_DEFINE)
#undef MXVIDEO_DEFINE
#ifndef MXVIDEO_WITHOUT_OPERATORS
#define MXVIDEO_DEFINE(name, repeatable, ...)           \
  int32_t aclnn##name##GetWorkspaceSize() { return 0; } \
  int32_t aclnn##name() { return 0; }
MXVIDEO_CANN_OPERATORS(MXVIDEO_DEFINE)
#undef MXVIDEO_DEFINE
#endif

int32_t aclsysGetVersionStr(char* /*package*/, char* version) {
  version[0] = '8';
  version[1] = '.';
  version[2] = '1';
  version[3] = '\0';
  return 0;
}
}
