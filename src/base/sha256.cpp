#include "base/sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/file/descriptor.h"
#include "base/system/system_error.h"
#include "base/text/hex.h"

namespace mxvideo {
namespace {

constexpr size_t kChunkBytes = 1u << 20;

}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  bool finished = false;
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  check(
      state_->context != nullptr && EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1,
      "OpenSSL offers SHA-256");
}

Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  check(!state_->finished && EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1,
        "SHA-256 takes bytes before its digest is read");
}

std::string Sha256::hex_digest() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  check(!state_->finished && EVP_DigestFinal_ex(state_->context, digest.data(), &size) == 1 &&
            size == 32,
        "a SHA-256 digest is read once");
  state_->finished = true;
  return to_hex(std::span(digest).first(size));
}

void Sha256::update_from_file(const std::filesystem::path& path, int64_t offset) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw open_error(path, errno);
  ::posix_fadvise(file.get(), offset, 0, POSIX_FADV_SEQUENTIAL);
  std::vector<std::byte> chunk(kChunkBytes);
  while (true) {
    const ssize_t got = ::pread(file.get(), chunk.data(), chunk.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(path, "cannot read", errno);
    if (got == 0) return;
    update(std::span(chunk).first(static_cast<size_t>(got)));
    offset += got;
  }
}

std::string sha256_file(const std::filesystem::path& path) {
  Sha256 hash;
  hash.update_from_file(path, 0);
  return hash.hex_digest();
}

}  // namespace mxvideo
