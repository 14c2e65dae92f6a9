// SHA-256, by OpenSSL. One object per stream; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace mxvideo {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::span<const std::byte> bytes);
  // What the file holds from `offset` to its end, read in pieces. Throws Code::kNotFound or
  // Code::kIo.
  void update_from_file(const std::filesystem::path& path, int64_t offset);
  // 64 lower-case hex digits; the object can take no more bytes afterwards.
  std::string hex_digest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Reads the file in pieces. Throws Code::kNotFound or Code::kIo.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace mxvideo
