// `mxvideo quantize` and `mxvideo repack` on a disk that is too small, at 32 sizes: exit status 7
// and a message, nothing of a result, and with enough room the same command completes.
#include <sys/statvfs.h>

#include <iostream>

#include "fault/conversion_fixture.h"
#include "support/private_mount.h"

namespace mxvideo::test {
namespace {

constexpr int kSizes = 32;
constexpr int64_t kPageBytes = 4096;
constexpr int64_t kAmpleDisk = 64 << 20;

int64_t used_bytes(const std::filesystem::path& directory) {
  struct statvfs status {};
  if (::statvfs(directory.c_str(), &status) != 0) throw std::runtime_error("statvfs");
  return static_cast<int64_t>((status.f_blocks - status.f_bfree) * status.f_frsize);
}

class ConversionDiskFull : public ConversionFixture {
 protected:
  struct Range {
    int64_t smallest, enough;
  };

  // From a page of room to that for the new result and what a run wants to be free besides.
  Range disk_sizes() const {
    const SmallDisk disk(work(), kAmpleDisk);
    start_over();
    const int64_t before = used_bytes(work());
    EXPECT_EQ(run().exit_code, 0);
    return {before + kPageBytes, before + used_bytes(work()) * 11 / 10};
  }
};

TEST_P(ConversionDiskFull, EverySize) {
  const std::string refused = enter_private_mounts();
  if (!require_mount(refused.empty(), "conversions on a full disk, " + refused)) return;
  const Range sizes = disk_sizes();
  int foreseen = 0;
  int failed = 0;
  for (int i = 0; i < kSizes && !HasFailure(); ++i) {
    const int64_t bytes = sizes.smallest + (sizes.enough - sizes.smallest) * i / (kSizes - 1);
    SCOPED_TRACE("a disk of " + std::to_string(bytes) + " bytes");
    const SmallDisk disk(work(), kAmpleDisk);
    start_over();
    disk.resize(bytes);
    const ProcessResult result = run();
    const bool was_foreseen = result.err.find(" bytes free") != std::string::npos;
    if (result.exit_code != 0) ++failed;
    if (was_foreseen) ++foreseen;
    expect_old_or_new(result, was_foreseen ? ": needs " : "No space left on device");
    EXPECT_FALSE(was_foreseen && has_partial());
    EXPECT_EQ(result.exit_code == 0, is_new());
    disk.resize(kAmpleDisk);
    expect_rerun_completes();
  }
  EXPECT_GT(foreseen, kSizes / 2);
  EXPECT_LT(failed, kSizes) << "the last size was meant to suffice";
  std::cout << kSizes << " sizes from " << sizes.smallest << " to " << sizes.enough
            << " bytes: " << failed << " too small, " << foreseen
            << " of them refused before anything was written\n";
}

// The small disk is another file system, across which nothing can be linked.
INSTANTIATE_TEST_SUITE_P(, ConversionDiskFull,
                         testing::Values(Conversion{"quantize", false, true},
                                         Conversion{"quantize", true, true},
                                         Conversion{"repack", false, true},
                                         Conversion{"repack", true, true}),
                         conversion_name);

}  // namespace
}  // namespace mxvideo::test
