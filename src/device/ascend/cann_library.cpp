#include "device/ascend/cann_library.h"

#include <dlfcn.h>

#include <array>

#include "base/error.h"

namespace mxvideo::ascend {
namespace {

constexpr const char* kWayOn = "install CANN and source its set_env.sh";

void* open(const std::filesystem::path& directory, const std::string& name) {
  const std::string path = directory.empty() ? name : (directory / name).string();
  return ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
}

[[noreturn]] void fail_missing(const std::filesystem::path& directory, const std::string& name) {
  const char* reason = ::dlerror();
  const std::string where = directory.empty() ? "" : " in " + directory.string();
  throw Error(Code::kDevice, "device ascend: CANN's library " + name + " cannot be loaded" + where +
                                 " (" + (reason != nullptr ? reason : "no reason given") + "); " +
                                 kWayOn);
}

}  // namespace

CannLibrary::CannLibrary(const std::filesystem::path& directory) {
  for (const char* name : {"libascendcl.so", "libnnopbase.so"}) {
    void* handle = open(directory, name);
    if (handle == nullptr) fail_missing(directory, name);
    handles_.emplace_back(handle);
  }
  if (void* whole = open(directory, "libopapi.so"); whole != nullptr) handles_.emplace_back(whole);
  const bool whole_loaded = handles_.size() == 3;
  for (const char* name : {"libopapi_math.so", "libopapi_nn.so", "libopapi_transformer.so"}) {
    void* part = open(directory, name);
    if (part != nullptr) handles_.emplace_back(part);
    if (part == nullptr && !whole_loaded)
      fail_missing(directory, "libopapi.so (or " + std::string(name) + ")");
  }

  // aclError aclsysGetVersionStr(char* package, char* version), of newer versions only.
  using GetVersion = int32_t (*)(char*, char*);
  if (auto get_version = reinterpret_cast<GetVersion>(find("aclsysGetVersionStr"))) {
    std::array<char, 16> package{"runtime"};
    std::array<char, 256> text{};
    if (get_version(package.data(), text.data()) == 0) version_ = text.data();
  }

#define MXVIDEO_LOAD(result, name, parameters) \
  name = reinterpret_cast<decltype(name)>(require(#name));
  MXVIDEO_CANN_FUNCTIONS(MXVIDEO_LOAD)
#undef MXVIDEO_LOAD
#define MXVIDEO_LOAD(op, again, ...)                                                             \
  op.name = "aclnn" #op;                                                                         \
  op.repeatable = again;                                                                         \
  op.prepare = reinterpret_cast<decltype(op)::Prepare>(require("aclnn" #op "GetWorkspaceSize")); \
  op.run = reinterpret_cast<decltype(op)::Run>(require("aclnn" #op));
  MXVIDEO_CANN_OPERATORS(MXVIDEO_LOAD)
#undef MXVIDEO_LOAD
}

void* CannLibrary::find(const char* function) const {
  for (const auto& handle : handles_) {
    if (void* address = ::dlsym(handle.get(), function); address != nullptr) return address;
  }
  return nullptr;
}

void* CannLibrary::require(const std::string& function) const {
  if (void* address = find(function.c_str()); address != nullptr) return address;
  const std::string version = version_.empty() ? "CANN that is installed" : "CANN " + version_;
  throw Error(Code::kDevice, "device ascend: the " + version + " has no function " + function +
                                 "; MXFP8 on Atlas A5 needs a newer one");
}

void CannLibrary::Close::operator()(void* handle) const noexcept { ::dlclose(handle); }

}  // namespace mxvideo::ascend
