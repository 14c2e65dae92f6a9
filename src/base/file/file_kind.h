// What a file is by its first bytes, for those that people have where a file of weights, a JSON
// file or a tokenizer is expected: other formats, placeholders, answers of servers, unfinished
// downloads. Thread-safe: no state.
// Sources: base/file/signature.h; PKWARE APPNOTE 4.3.7 and torch/serialization.py (archives whose
// first record is NAME/data.pkl); Python pickletools (PROTO); git-lfs docs/spec.md; git-annex
// pointer files.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace mxvideo {

struct FileKind {
  Code code = Code::kCorruptFile;  // kUnsupported for whole files of another format
  std::string what;                // "is a GGUF file": follows the path in a message
  std::string way_on;              // what to do about it
  std::string sentence() const { return what + "; " + way_on; }
};

// Other formats, placeholders, pages of servers, and zeros; nullopt for everything else. `file`
// may be the file's first 4 KiB.
std::optional<FileKind> recognise_container(std::span<const std::byte> file);

// The same, and empty files and text: for files that are binary.
std::optional<FileKind> recognise_in_place_of_binary(std::span<const std::byte> file);

// Throws "ORIGIN: is …" when the file is one of the latter.
void refuse_in_place_of_binary(std::span<const std::byte> file, const std::string& origin);

}  // namespace mxvideo
