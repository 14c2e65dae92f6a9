#include "base/system/shared_library.h"

#include <dlfcn.h>

#include <string>

#include "base/error.h"

namespace mxvideo {

SharedLibrary::SharedLibrary(const char* name)
    : name_(name), handle_(::dlopen(name, RTLD_LAZY | RTLD_LOCAL)) {
  if (handle_ != nullptr) return;
  throw Error(Code::kUnsupported, std::string("cannot load ") + name +
                                      ", which this needs; install its package: " + ::dlerror());
}

void* SharedLibrary::address(const char* name) const {
  void* found = ::dlsym(handle_, name);
  if (found != nullptr) return found;
  throw Error(Code::kUnsupported, std::string(name_) + ": expected the function " + name +
                                      ", got a library without it; install its package again");
}

}  // namespace mxvideo
