#include "base/file/direct_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "support/test_support.h"

namespace mxvideo {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kBlock = 4096;

std::vector<std::byte> random_bytes(int64_t count, std::mt19937& random) {
  std::vector<std::byte> bytes(static_cast<size_t>(count));
  std::mt19937_64 words(random());
  for (size_t i = 0; i + sizeof(uint64_t) <= bytes.size(); i += sizeof(uint64_t)) {
    const uint64_t word = words();
    std::memcpy(bytes.data() + i, &word, sizeof word);
  }
  return bytes;
}

std::span<const std::byte> part_of(const std::vector<std::byte>& bytes, int64_t first,
                                   int64_t count) {
  return std::span(bytes).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
}

void expect_content(const fs::path& path, const std::vector<std::byte>& bytes) {
  const std::string found = read_file(path, bytes.size());
  ASSERT_EQ(found.size(), bytes.size());
  const auto differs = std::ranges::mismatch(std::as_bytes(std::span(found)), bytes).in1;
  EXPECT_TRUE(differs == std::as_bytes(std::span(found)).end())
      << path << " differs at " << differs - std::as_bytes(std::span(found)).begin();
}

// Lowers a limit of the process for the scope.
class Limited {
 public:
  Limited(__rlimit_resource kind, rlim_t value) : kind_(kind) {
    ::getrlimit(kind_, &before_);
    const rlimit lowered{.rlim_cur = value, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(kind_, &lowered), 0);
  }
  ~Limited() { ::setrlimit(kind_, &before_); }
  Limited(const Limited&) = delete;
  Limited& operator=(const Limited&) = delete;

 private:
  const __rlimit_resource kind_;
  rlimit before_{};
};

class DirectWriting : public testing::Test {
 protected:
  test::TemporaryDirectory temporary_;
  const fs::path path_ = temporary_.path() / "out";
  std::mt19937 random_{5};
};

TEST_F(DirectWriting, WritesTheWholeBlocksOfLargePieces) {
  const std::vector<std::byte> bytes = random_bytes(36 * kMiB, random_);
  write_file_atomically(path_, "");
  const int fd = ::open(path_.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
  if (fd < 0) GTEST_SKIP() << path_ << " is on a file system without O_DIRECT";
  ::close(fd);
  DirectWriter writer(path_);
  const auto expect_written = [&](int64_t offset, int64_t size, int64_t begin, int64_t end) {
    const DirectWriter::Written written = writer.write(offset, part_of(bytes, offset, size));
    EXPECT_EQ(written.error, 0);
    EXPECT_EQ(written.begin, begin);
    EXPECT_EQ(written.end, end);
  };
  expect_written(7, 4 * kBlock - 1, 7, 7);
  EXPECT_EQ(fs::file_size(path_), 0u);
  expect_written(0, kMiB, 0, kMiB);
  expect_written(kMiB, 35 * kMiB, kMiB, 36 * kMiB);  // more than one write
  expect_content(path_, bytes);
  expect_written(kMiB - 1, kMiB, kMiB, 2 * kMiB - kBlock);
  expect_written(kMiB + 1, kMiB, kMiB + kBlock, 2 * kMiB);
  expect_content(path_, bytes);
}

TEST_F(DirectWriting, LeavesAllToTheCallerWhereTheFileCannotBeOpened) {
  const std::vector<std::byte> bytes = random_bytes(2 * kMiB, random_);
  DirectWriter writer(temporary_.path() / "absent");
  for (int i = 0; i < 2; ++i) {
    const DirectWriter::Written written = writer.write(5, bytes);
    EXPECT_EQ(written.error, 0);
    EXPECT_EQ(written.begin, 5);
    EXPECT_EQ(written.end, 5);
  }
}

TEST_F(DirectWriting, AtomicFileManagesWithoutIt) {
  const std::vector<std::byte> bytes = random_bytes(3 * kMiB + 5, random_);
  AtomicFile file(path_);
  {
    const Limited limited(RLIMIT_NOFILE, 3);  // the second descriptor is not to be had
    file.write_at(0, bytes);
  }
  file.commit();
  expect_content(path_, bytes);
}

// A limit inside of a block ends in a refused direct write, one between two blocks in a short one.
TEST_F(DirectWriting, AtomicFileReportsWhatFails) {
  const std::vector<std::byte> bytes = random_bytes(8 * kMiB, random_);
  const auto handler_before = std::signal(SIGXFSZ, SIG_IGN);
  for (const int64_t limit : {int64_t{0}, 3 * kMiB, 5 * kMiB + kBlock, 5 * kMiB + 7}) {
    AtomicFile file(path_);
    const Limited limited(RLIMIT_FSIZE, static_cast<rlim_t>(limit));
    const Error error = test::expect_error([&] { file.write_at(0, bytes); });
    EXPECT_EQ(error.code(), Code::kIo);
    EXPECT_NE(std::string(error.what()).find("cannot write: File too large"), std::string::npos)
        << error.what();
    EXPECT_EQ(fs::file_size(file.temporary_path()), static_cast<uintmax_t>(limit));
  }
  std::signal(SIGXFSZ, handler_before);
}

struct Piece {
  int64_t first, count;
};

// All of `bytes`, cut and shuffled.
std::vector<Piece> random_pieces(int64_t bytes, std::mt19937& random) {
  std::vector<Piece> pieces;
  for (int64_t first = 0; first < bytes;) {
    const int64_t most = random() % 3 == 0 ? 9000 : 6 * kMiB;
    const int64_t count = std::min(bytes - first, 1 + static_cast<int64_t>(random()) % most);
    pieces.push_back({first, count});
    first += count;
  }
  std::shuffle(pieces.begin(), pieces.end(), random);
  return pieces;
}

// On a disk and in memory, where direct writes may be refused.
class DirectWritingTo : public testing::TestWithParam<const char*> {};

TEST_P(DirectWritingTo, AnyPiecesInAnyOrderGiveTheSameFile) {
  const fs::path directory = *GetParam() == '\0' ? test::scratch_directory() : GetParam();
  if (::access(directory.c_str(), W_OK) != 0) GTEST_SKIP() << directory << " cannot be written";
  const fs::path path = directory / ("mxvideo-test-direct-" + std::to_string(::getpid()));
  constexpr int64_t kBytes = 24 * kMiB + 777;
  std::mt19937 random(11);
  const std::vector<std::byte> bytes = random_bytes(kBytes, random);
  for (int round = 0; round < 4; ++round) {
    SCOPED_TRACE(round);
    const std::vector<Piece> pieces = random_pieces(kBytes, random);
    {
      AtomicFile file(path);
      if (round % 2 == 0) file.allocate(kBytes);
      const auto write_every_second = [&](size_t from) {
        for (size_t i = from; i < pieces.size(); i += 2) {
          file.write_at(pieces[i].first, part_of(bytes, pieces[i].first, pieces[i].count));
        }
      };
      std::thread other(write_every_second, 1);
      write_every_second(0);
      other.join();
      file.commit();
    }
    expect_content(path, bytes);
  }
  fs::remove(path);
}

INSTANTIATE_TEST_SUITE_P(, DirectWritingTo, testing::Values("", "/dev/shm"),
                         [](const auto& directory) {
                           return *directory.param == '\0' ? "Disk" : "Memory";
                         });

}  // namespace
}  // namespace mxvideo
