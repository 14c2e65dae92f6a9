// CANN, loaded at run time: nothing of it is needed to build, and nothing is loaded before a
// CannLibrary is made. Immutable; its functions are as thread-safe as CANN's.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "device/ascend/cann_functions.h"

namespace mxvideo::ascend {

// Both phases of an operator (cann_functions.h).
template <class... Parameters>
struct CannOperator {
  using Prepare = int32_t (*)(Parameters..., uint64_t*, AclOpExecutor**);
  using Run = int32_t (*)(void*, uint64_t, AclOpExecutor*, AclStream);
  const char* name = "";
  bool repeatable = false;
  Prepare prepare = nullptr;
  Run run = nullptr;
};

// The functions, as members of CANN's names; operators without "aclnn".
struct CannFunctions {
#define MXVIDEO_MEMBER(result, name, parameters) result(*name) parameters = nullptr;
  MXVIDEO_CANN_FUNCTIONS(MXVIDEO_MEMBER)
#undef MXVIDEO_MEMBER

  using T = const AclTensor*;
  using O = AclTensor*;
  using S = const AclScalar*;
  using I = const AclIntArray*;
  using L = const AclTensorList*;
#define MXVIDEO_MEMBER(name, repeatable, ...) CannOperator<__VA_ARGS__> name;
  MXVIDEO_CANN_OPERATORS(MXVIDEO_MEMBER)
#undef MXVIDEO_MEMBER
};

class CannLibrary : public CannFunctions {
 public:
  // Loads libascendcl.so, libnnopbase.so and libopapi.so, or the parts that newer versions split
  // the last into, as the system finds libraries, or from `directory` alone. Throws Code::kDevice
  // naming the library or function that is missing, and CANN's version where it says one.
  explicit CannLibrary(const std::filesystem::path& directory = {});

  // "9.0.0", of the package "runtime"; empty where CANN does not say.
  const std::string& version() const { return version_; }

 private:
  void* find(const char* function) const;
  void* require(const std::string& function) const;

  struct Close {
    void operator()(void* handle) const noexcept;
  };
  std::vector<std::unique_ptr<void, Close>> handles_;
  std::string version_;
};

}  // namespace mxvideo::ascend
