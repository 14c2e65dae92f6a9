#include <gtest/gtest.h>

#include <fstream>

#include "base/system/memory_usage.h"
#include "support/test_support.h"

namespace mxvideo {
namespace {

class AvailableMemoryTest : public testing::Test {
 protected:
  AvailableMemoryTest() {
    write("proc/meminfo", "MemTotal: 2000 kB\nMemFree: 10 kB\nMemAvailable: 1000 kB\n");
  }
  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_.path() / path).parent_path());
    std::ofstream(root_.path() / path) << text;
  }
  AvailableMemory available() const { return available_memory(root_.path()); }

 private:
  test::TemporaryDirectory root_;
};

TEST_F(AvailableMemoryTest, WithoutGroupsItIsMemAvailable) {
  EXPECT_EQ(available().bytes, 1000 * 1024);
  EXPECT_EQ(available().source, "MemAvailable");
}

TEST_F(AvailableMemoryTest, Version2CountsDroppableCacheAsFreeAndLooksUpwards) {
  write("proc/self/cgroup", "0::/a/b\n");
  write("sys/fs/cgroup/a/b/memory.max", "max\n");
  write("sys/fs/cgroup/a/b/memory.current", "5000\n");
  write("sys/fs/cgroup/a/memory.max", "10000\n");
  write("sys/fs/cgroup/a/memory.current", "7000\n");
  write("sys/fs/cgroup/a/memory.stat", "anon 100\ninactive_file 500\n");
  EXPECT_EQ(available().bytes, 10000 - 7000 + 500);
  EXPECT_TRUE(available().source.ends_with("a/memory.max")) << available().source;
}

TEST_F(AvailableMemoryTest, Version1ReadsTheMemoryController) {
  write("proc/self/cgroup", "3:cpu:/other\n2:memory:/job\n");
  write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9000\n");
  write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "9500\n");
  EXPECT_EQ(available().bytes, 0);
}

TEST_F(AvailableMemoryTest, ALimitAboveTheMachineDoesNotCount) {
  write("proc/self/cgroup", "0::/\n");
  write("sys/fs/cgroup/memory.max", "9223372036854771712\n");
  write("sys/fs/cgroup/memory.current", "1\n");
  EXPECT_EQ(available().source, "MemAvailable");
}

}  // namespace
}  // namespace mxvideo
