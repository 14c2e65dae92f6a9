// A shared library that is loaded when it is first needed and stays: what few runs need costs the
// others no time to start. Thread-safe.
//
// Its functions are members of a table, with the types of the library's header:
//
//   struct Zlib {
//     SharedLibrary library{"libz.so.1"};
//     MXVIDEO_FUNCTION(zlibVersion);
//   };
//   const Zlib& zlib() { static const Zlib table; return table; }
#pragma once

namespace mxvideo {

class SharedLibrary {
 public:
  // `name` as the linker records it, with the number of its interface. Throws Code::kUnsupported
  // with the name and the loader's reason.
  explicit SharedLibrary(const char* name);

  // Throws Code::kUnsupported when the library has no such function.
  template <class Function>
  Function* function(const char* name) const {
    return reinterpret_cast<Function*>(address(name));
  }

 private:
  void* address(const char* name) const;

  const char* name_;
  void* handle_;
};

}  // namespace mxvideo

// A member named as the function that it points to; behind a member `library`.
#define MXVIDEO_FUNCTION(name) decltype(::name)* name = library.function<decltype(::name)>(#name)
