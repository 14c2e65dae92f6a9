#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/file/mapped_file.h"
#include "base/parallel.h"
#include "base/system/cpu_features.h"
#include "base/system/memory_usage.h"
#include "support/test_support.h"

namespace mxvideo {
namespace {

namespace fs = std::filesystem;

class BaseFiles : public testing::Test {
 protected:
  test::TemporaryDirectory temporary_;
  const fs::path& directory_ = temporary_.path();
};

Code code_of(const std::function<void()>& action) { return test::expect_error(action).code(); }

TEST(Checked, ThrowsInsteadOfWrapping) {
  EXPECT_EQ(checked_mul(1 << 20, 1 << 20, "x"), int64_t{1} << 40);
  EXPECT_EQ(code_of([] { checked_mul(INT64_MAX, 2, "x"); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([] { checked_add(INT64_MAX, 1, "x"); }), Code::kInvalidArgument);
  EXPECT_EQ(checked_product({2, 3, 7}, "x"), 42);
}

TEST(Parallel, CoversEveryIndexOnceAndStartsAtMultiplesOfTheGrain) {
  for (int threads : {1, 2, 7}) {
    set_num_threads(threads);
    for (int64_t count : {0, 1, 5, 64, 1000}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
      std::atomic<bool> aligned{true};
      parallel_for(count, 6, [&](int64_t begin, int64_t end) {
        if (begin % 6 != 0) aligned = false;
        for (int64_t i = begin; i < end; ++i) visits[static_cast<size_t>(i)]++;
      });
      EXPECT_TRUE(aligned);
      for (const auto& visit : visits) EXPECT_EQ(visit, 1);
    }
  }
}

// OMP_DYNAMIC and OMP_THREAD_LIMIT give a team of fewer threads than asked for.
TEST(Parallel, CoversEveryIndexWithASmallerTeam) {
  const int threads_before = num_threads();
  omp_set_dynamic(1);
  set_num_threads(512);
  constexpr int64_t kCount = 5000;
  std::atomic<int64_t> visited{0};
  parallel_for(kCount, 1, [&](int64_t begin, int64_t end) { visited += end - begin; });
  EXPECT_EQ(visited, kCount);
  omp_set_dynamic(0);
  set_num_threads(threads_before);
}

TEST(Parallel, EachIndexGoesOnceToAWorkerThatIsFree) {
  const int threads_before = num_threads();
  for (int threads : {1, 2, 7}) {
    set_num_threads(threads);
    for (int64_t count : {0, 1, 5, 64, 1000}) {
      const int64_t workers = parallel_workers(count);
      EXPECT_EQ(workers, std::clamp<int64_t>(count, 1, threads));
      std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
      std::vector<std::atomic<int>> running(static_cast<size_t>(workers));
      std::atomic<bool> apart{true};
      parallel_for_each(count, [&](int64_t i, int64_t worker) {
        if (running[static_cast<size_t>(worker)]++ != 0) apart = false;
        visits[static_cast<size_t>(i)]++;
        running[static_cast<size_t>(worker)]--;
      });
      EXPECT_TRUE(apart);
      for (const auto& visit : visits) EXPECT_EQ(visit, 1);
    }
  }
  // One thread with the whole rest to do does not keep the others waiting.
  set_num_threads(2);
  std::atomic<int> others{0};
  parallel_for_each(50, [&](int64_t i, int64_t) {
    if (i > 0) {
      others++;
    } else {
      const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (others < 49 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    }
  });
  EXPECT_EQ(others, 49);
  set_num_threads(threads_before);
}

TEST(Parallel, NewThreadsCoverEveryIndexOnceAndPassErrorsOn) {
  const int threads_before = num_threads();
  for (int threads : {1, 2, 7}) {
    set_num_threads(threads);
    std::vector<std::atomic<int>> visits(100);
    parallel_for_on_new_threads(100, 6, [&](int64_t begin, int64_t end) {
      EXPECT_EQ(begin % 6, 0);
      int inner = 0;  // of the calling thread alone
      parallel_for(50, 1,
                   [&](int64_t first, int64_t last) { inner += static_cast<int>(last - first); });
      EXPECT_EQ(inner, 50);
      for (int64_t i = begin; i < end; ++i) visits[static_cast<size_t>(i)]++;
    });
    for (const auto& visit : visits) EXPECT_EQ(visit, 1);
    EXPECT_EQ(code_of([] {
                parallel_for_on_new_threads(100, 1,
                                            [](int64_t, int64_t) { throw Error(Code::kIo, "x"); });
              }),
              Code::kIo);
  }
  set_num_threads(threads_before);
}

TEST(CpuFeatures, NamesRoundTrip) {
  EXPECT_EQ(parse_cpu_features("avx2,avx512"), kCpuAvx2 | kCpuAvx512);
  EXPECT_EQ(cpu_features_to_string(kCpuAvx2 | kCpuAvx512Fp16), "avx2 avx512_fp16");
  EXPECT_EQ(code_of([] { parse_cpu_features("sse9"); }), Code::kInvalidArgument);
}

TEST_F(BaseFiles, AtomicFileAppearsOnlyOnCommit) {
  const fs::path path = directory_ / "out.txt";
  {
    AtomicFile abandoned(path);
    abandoned.write("half");
  }
  EXPECT_TRUE(fs::is_empty(directory_));
  AtomicFile file(path);
  file.write("whole");
  EXPECT_FALSE(fs::exists(path));
  file.commit();
  EXPECT_EQ(read_file(path, 100), "whole");
  EXPECT_FALSE(fs::exists(file.temporary_path()));
}

TEST_F(BaseFiles, AtomicFileReportsMissingDirectory) {
  EXPECT_EQ(code_of([&] { AtomicFile file(directory_ / "absent" / "x"); }), Code::kIo);
}

TEST_F(BaseFiles, AtomicFileIsFilledInAnyOrder) {
  const auto bytes_of = [](std::string_view text) { return std::as_bytes(std::span(text)); };
  AtomicFile file(directory_ / "out");
  file.allocate(0);
  file.allocate(10);
  EXPECT_EQ(fs::file_size(file.temporary_path()), 10u);
  file.write_at(6, bytes_of("tail"));
  file.write_at(0, bytes_of("head"));
  file.write_at(4, bytes_of(", "));
  file.write_at(4, {});
  file.commit();
  EXPECT_EQ(read_file(directory_ / "out", 100), "head, tail");
}

TEST_F(BaseFiles, AtomicFileReportsSpaceThatIsNotThere) {
  AtomicFile file(directory_ / "out");
  const Error error = test::expect_error([&] { file.allocate(INT64_MAX / 2); });
  EXPECT_EQ(error.code(), Code::kIo);
  EXPECT_NE(std::string(error.what()).find("cannot reserve"), std::string::npos) << error.what();
}

TEST_F(BaseFiles, SyncDirectoryReportsWhatIsNoDirectory) {
  sync_directory(directory_);
  write_file_atomically(directory_ / "file", "x");
  EXPECT_EQ(code_of([&] { sync_directory(directory_ / "file"); }), Code::kIo);
  EXPECT_EQ(code_of([&] { sync_directory(directory_ / "absent"); }), Code::kIo);
}

TEST_F(BaseFiles, ReadFileHonoursItsLimit) {
  write_file_atomically(directory_ / "f", "12345");
  EXPECT_EQ(read_file(directory_ / "f", 5), "12345");
  EXPECT_EQ(code_of([&] { read_file(directory_ / "f", 4); }), Code::kCorruptFile);
  EXPECT_EQ(code_of([&] { read_file(directory_ / "g", 4); }), Code::kNotFound);
}

TEST_F(BaseFiles, MappedFileShowsTheBytesAndNoticesChanges) {
  const fs::path path = directory_ / "f";
  write_file_atomically(path, "mapped");
  const MappedFile file(path);
  ASSERT_EQ(file.bytes().size(), 6u);
  EXPECT_EQ(static_cast<char>(file.bytes()[0]), 'm');
  file.check_unchanged();
  fs::resize_file(path, 3);
  EXPECT_EQ(code_of([&] { file.check_unchanged(); }), Code::kIo);
  EXPECT_EQ(code_of([&] { MappedFile missing(directory_ / "absent"); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { MappedFile directory(directory_); }), Code::kNotFound);
}

TEST(MemoryUsage, PeakFollowsAnAllocation) {
  ASSERT_TRUE(reset_peak_resident_bytes());
  const int64_t before = peak_resident_bytes();
  {
    const std::vector<char> block(64 << 20, 1);
    const volatile char* bytes = block.data();  // or clang leaves the block out
    EXPECT_EQ(bytes[1 << 20], 1);
  }
  EXPECT_GE(peak_resident_bytes() - before, 60 << 20);
}

}  // namespace
}  // namespace mxvideo
