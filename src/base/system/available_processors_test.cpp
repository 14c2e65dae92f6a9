#include "base/system/available_processors.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "support/one_processor.h"
#include "support/test_support.h"

namespace mxvideo {
namespace {

class AvailableProcessorsTest : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_.path() / path).parent_path());
    std::ofstream(root_.path() / path) << text;
  }
  AvailableProcessors available() const { return available_processors(root_.path()); }
  int of_affinity() const { return static_cast<int>(std::thread::hardware_concurrency()); }

 private:
  test::TemporaryDirectory root_;
};

TEST_F(AvailableProcessorsTest, WithoutGroupsItIsTheAffinityMask) {
  EXPECT_EQ(available().count, of_affinity());
  EXPECT_EQ(available().source, "affinity");
}

TEST_F(AvailableProcessorsTest, FollowsTheAffinityMaskOfTheThread) {
  const test::OneProcessorScope one;
  EXPECT_EQ(available().count, 1);
}

TEST_F(AvailableProcessorsTest, Version2RoundsTheQuotaUpAndLooksUpwards) {
  write("proc/self/cgroup", "0::/pod/container\n");
  write("sys/fs/cgroup/pod/container/cpu.max", "max 100000\n");
  write("sys/fs/cgroup/pod/cpu.max", "50000 100000\n");
  EXPECT_EQ(available().count, 1);
  if (of_affinity() < 2) return;  // a quota of more processors than there are does not show
  EXPECT_TRUE(available().source.ends_with("pod/cpu.max")) << available().source;
  write("sys/fs/cgroup/pod/cpu.max", "100001 100000\n");
  EXPECT_EQ(available().count, 2);
}

TEST_F(AvailableProcessorsTest, Version1ReadsTheCpuControllerWhateverSharesItsMount) {
  write("proc/self/cgroup", "3:memory:/other\n2:cpu,cpuacct:/job\n");
  write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "20000\n");
  write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(available().count, 1);
}

TEST_F(AvailableProcessorsTest, NoQuotaAndABrokenOneLimitNothing) {
  write("proc/self/cgroup", "2:cpu,cpuacct:/job\n0::/pod\n");
  write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  write("sys/fs/cgroup/pod/cpu.max", "50000\n");
  EXPECT_EQ(available().count, of_affinity());
}

}  // namespace
}  // namespace mxvideo
