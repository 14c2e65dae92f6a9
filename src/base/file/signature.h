// Formats that a file's first bytes tell. One table; what to do about each is said where a picture
// or weights were expected. Pure function. Sources: the formats' own specifications, as file(1)
// collects them; ggml docs/gguf.md; RFC 1952, RFC 8878, xz, 7z, HDF5 and NPY file signatures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mxvideo {

enum class FileFamily : uint8_t {
  kPicture,
  kCameraRaw,
  kMoving,    // videos, animations
  kDocument,  // made to be exported or printed
  kWeights,
  kArchive,
  kProgram,
};

struct Signature {
  size_t offset;
  std::string_view bytes;
  std::string_view name;  // "a GIF image"
  FileFamily family;

  // False for bytes that the length in front of a safetensors header may well have.
  bool is_distinct() const {
    return bytes.size() >= 3 && bytes.find('\0') == std::string_view::npos;
  }
};

// Of the first entry that fits; null without one.
const Signature* find_signature(std::string_view beginning);

}  // namespace mxvideo
