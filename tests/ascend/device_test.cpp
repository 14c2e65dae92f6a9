// The backend's device on the stand-in of CANN: what it asks of the runtime, in which order, and
// that nothing stays alive whichever call fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "device/ascend/ascend_device.h"
#include "support/ascend_stand_in/ascend_stand_in.h"
#include "support/test_support.h"

namespace mxvideo::test {
namespace {

std::unique_ptr<ascend::AscendDevice> open_device() {
  return std::make_unique<ascend::AscendDevice>(
      ascend::AscendOptions{.libraries = MXVIDEO_ASCEND_STAND_IN_DIR, .index = 0});
}

uint64_t alive() {
  StandinCounters c;
  standin_counters(&c);
  return c.tensors + c.scalars + c.int_arrays + c.tensor_lists + c.executors + c.streams +
         c.events + c.device_blocks + c.host_blocks;
}

uint64_t calls() {
  StandinCounters c;
  standin_counters(&c);
  return c.calls;
}

// Bytes there, copied inside, back: true when they came back as they were.
bool round_trip(ascend::AscendDevice& device, int64_t bytes) {
  std::vector<std::byte> sent(static_cast<size_t>(bytes));
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 37 % 251);
  std::vector<std::byte> received(sent.size());
  const auto give_back = [&](std::byte* data) { device.deallocate(data, bytes); };
  const std::unique_ptr<std::byte, decltype(give_back)> from(device.allocate(bytes), give_back);
  const std::unique_ptr<std::byte, decltype(give_back)> to(device.allocate(bytes), give_back);
  device.upload(from.get(), sent.data(), bytes);
  device.copy(to.get(), from.get(), bytes);
  device.download(received.data(), to.get(), bytes);
  return received == sent;
}

class AscendDeviceTest : public ::testing::Test {
 protected:
  void SetUp() override { standin_reset(); }
  void TearDown() override {
    EXPECT_STREQ(standin_report(), "");
    EXPECT_EQ(alive(), 0u);
  }
};

TEST_F(AscendDeviceTest, BytesComeBackWhateverTheLateness) {
  for (const int lateness : {kStandinEager, kStandinRandom, kStandinLatest}) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      standin_reset();
      standin_set_lateness(lateness);
      standin_set_seed(seed);
      const auto device = open_device();
      for (const int64_t bytes : {1, 100, 4096, 100000}) {
        EXPECT_TRUE(round_trip(*device, bytes)) << bytes << " bytes, lateness " << lateness;
      }
    }
  }
}

// More than the pinned slots hold at a time: each waits for the copy that used it before.
TEST_F(AscendDeviceTest, LargeCopiesTakeTheSlotsInTurn) {
  standin_set_lateness(kStandinLatest);
  EXPECT_TRUE(round_trip(*open_device(), 50'000'000));
}

TEST_F(AscendDeviceTest, NothingStaysAliveWhicheverCallFails) {
  standin_clear_counters();
  EXPECT_TRUE(round_trip(*open_device(), 5000));
  const uint64_t all = calls();
  EXPECT_GT(all, 20u);
  for (uint64_t n = 1; n <= all; ++n) {
    standin_reset();
    standin_set_lateness(kStandinLatest);
    standin_fail_call(n);
    // The last calls give back what was taken; a destructor has nobody to tell.
    try {
      EXPECT_TRUE(round_trip(*open_device(), 5000));
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == Code::kDevice || error.code() == Code::kOutOfMemory)
          << error.what();
    }
    EXPECT_EQ(alive(), 0u) << "call " << n << ", " << standin_call_name(n);
    EXPECT_STREQ(standin_report(), "") << "call " << n << ", " << standin_call_name(n);
  }
}

TEST_F(AscendDeviceTest, AnotherAcceleratorIsRefusedBeforeAnythingIsLoaded) {
  standin_set_soc("Ascend910_9391");
  const Error error = expect_error([] { open_device(); });
  EXPECT_EQ(error.code(), Code::kDevice);
  EXPECT_NE(std::string(error.what()).find("Ascend910_9391"), std::string::npos) << error.what();
}

TEST_F(AscendDeviceTest, NoDeviceIsRefused) {
  standin_set_devices(0);
  const Error error = expect_error([] { open_device(); });
  EXPECT_EQ(error.code(), Code::kDevice);
}

TEST_F(AscendDeviceTest, MemoryThatEndsIsSaidAsSuch) {
  standin_set_memory(64 << 20);
  const auto device = open_device();
  const Error error = expect_error([&] { device->allocate(int64_t{65} << 20); });
  EXPECT_EQ(error.code(), Code::kOutOfMemory);
  EXPECT_TRUE(round_trip(*device, 1000));
}

}  // namespace
}  // namespace mxvideo::test
