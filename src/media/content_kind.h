// What a file is that was given as a picture and is none that can be read. By its first bytes
// (base/file/signature.h). Pure function.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace mxvideo::media {

struct ContentKind {
  std::string name;    // "a GIF image", "a web page (HTML)", "an unknown format"
  std::string way_on;  // what to do, in the imperative
};

ContentKind content_kind(std::span<const std::byte> bytes);

}  // namespace mxvideo::media
