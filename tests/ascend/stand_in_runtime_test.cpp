// Memory, copies, streams and events of the stand-in, and the misuses that it must catch.
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "ascend/stand_in_fixture.h"
#include "support/test_support.h"

namespace mxvideo::test {
namespace {

using ::testing::Test;

constexpr size_t kPage = 4096;

void* device_bytes(size_t bytes) {
  void* address = nullptr;
  EXPECT_EQ(aclrtMalloc(&address, bytes, ACL_MEM_MALLOC_HUGE_FIRST), 0);
  return address;
}

uint8_t* pinned_bytes(size_t bytes) {
  void* address = nullptr;
  EXPECT_EQ(aclrtMallocHost(&address, bytes), 0);
  return static_cast<uint8_t*>(address);
}

class StandInRuntimeTest : public StandInTest {};
class StandInRuntimeDeathTest : public StandInTest {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    StandInTest::SetUp();
  }
};

TEST_F(StandInRuntimeTest, WorkWaitsForTheCallThatWaitsForIt) {
  standin_set_lateness(kStandinLatest);
  void* device = device_bytes(64);
  ASSERT_EQ(aclrtMemsetAsync(device, 64, 5, 64, stream_), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  uint8_t byte = 0;
  ASSERT_TRUE(standin_peek(device, 1, &byte));
  EXPECT_EQ(byte, 0xff);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), 0);
  ASSERT_TRUE(standin_peek(device, 1, &byte));
  EXPECT_EQ(byte, 5);
  EXPECT_EQ(aclrtFree(device), 0);
}

TEST_F(StandInRuntimeTest, RandomLatenessRunsSomeWorkBeforeTheWaitAndSomeNot) {
  int early = 0;
  for (int i = 0; i < 40; ++i) {
    standin_set_seed(static_cast<uint64_t>(i));
    void* device = device_bytes(64);
    ASSERT_EQ(aclrtMemsetAsync(device, 64, 5, 64, stream_), 0);
    void* other = device_bytes(64);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    uint8_t byte = 0;
    ASSERT_TRUE(standin_peek(device, 1, &byte));
    if (byte == 5) ++early;
    ASSERT_EQ(aclrtSynchronizeStream(stream_), 0);
    EXPECT_EQ(aclrtFree(device), 0);
    EXPECT_EQ(aclrtFree(other), 0);
  }
  EXPECT_GT(early, 0);
  EXPECT_LT(early, 40);
}

TEST_F(StandInRuntimeDeathTest, TheHostCannotReadDeviceMemory) {
  const auto* device = static_cast<volatile uint8_t*>(device_bytes(64));
  EXPECT_DEATH(static_cast<void>(*device), "");
  EXPECT_EQ(aclrtFree(const_cast<uint8_t*>(device)), 0);
}

TEST_F(StandInRuntimeDeathTest, TheHostCannotReadPinnedMemoryBeforeItWaitedForTheCopy) {
  void* device = device_bytes(kPage);
  volatile uint8_t* host = pinned_bytes(kPage);
  ASSERT_EQ(aclrtMemcpyAsync(const_cast<uint8_t*>(host), kPage, device, kPage,
                             ACL_MEMCPY_DEVICE_TO_HOST, stream_),
            0);
  EXPECT_DEATH(static_cast<void>(host[17]), "");
  ASSERT_EQ(aclrtSynchronizeStream(stream_), 0);
  EXPECT_EQ(host[17], 0xff);
  EXPECT_EQ(aclrtFree(device), 0);
  EXPECT_EQ(aclrtFreeHost(const_cast<uint8_t*>(host)), 0);
}

TEST_F(StandInRuntimeDeathTest, TheHostCannotChangeTheSourceOfAQueuedCopy) {
  void* device = device_bytes(kPage);
  volatile uint8_t* host = pinned_bytes(kPage);
  ASSERT_EQ(aclrtMemcpyAsync(device, kPage, const_cast<uint8_t*>(host), kPage,
                             ACL_MEMCPY_HOST_TO_DEVICE, stream_),
            0);
  EXPECT_DEATH(host[17] = 1, "");
  ASSERT_EQ(aclrtSynchronizeStream(stream_), 0);
  host[17] = 1;
  EXPECT_EQ(aclrtFree(device), 0);
  EXPECT_EQ(aclrtFreeHost(const_cast<uint8_t*>(host)), 0);
}

TEST_F(StandInRuntimeDeathTest, AMisuseEndsTheProgramWhenItIsToldTo) {
  EXPECT_DEATH(
      {
        standin_set_abort(true);
        aclrtFree(reinterpret_cast<void*>(64));
      },
      "ascend stand-in: misuse: aclrtFree");
}

TEST_F(StandInRuntimeTest, BytesBelowAPageAreGarbageUntilTheCopyAndCheckedAfterIt) {
  standin_set_lateness(kStandinLatest);
  void* device = device_bytes(64);
  uint8_t* host = pinned_bytes(2 * kPage);
  ASSERT_EQ(aclrtMemsetAsync(device, 64, 5, 64, stream_), 0);
  std::memset(host, 1, 64);
  ASSERT_EQ(aclrtMemcpyAsync(host + 64, 64, device, 64, ACL_MEMCPY_DEVICE_TO_HOST, stream_), 0);
  EXPECT_EQ(host[63], 1);
  EXPECT_EQ(host[64], 0xa5);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), 0);
  EXPECT_EQ(host[64], 5);
  ASSERT_EQ(aclrtMemcpyAsync(device, 64, host, 64, ACL_MEMCPY_HOST_TO_DEVICE, stream_), 0);
  host[3] = 2;
  ASSERT_EQ(aclrtSynchronizeStream(stream_), 0);
  EXPECT_NE(take_report().find("the host changed the source of a copy"), std::string::npos);
  EXPECT_EQ(aclrtFree(device), 0);
  EXPECT_EQ(aclrtFreeHost(host), 0);
}

TEST_F(StandInRuntimeTest, ACopyAtOnceOfWhatQueuedWorkWritesIsAMissingWait) {
  void* device = device_bytes(64);
  ASSERT_EQ(aclrtMemsetAsync(device, 64, 5, 64, stream_), 0);
  uint8_t host[64];
  ASSERT_EQ(aclrtMemcpy(host, 64, device, 64, ACL_MEMCPY_DEVICE_TO_HOST), 0);
  EXPECT_EQ(take_report(),
            "aclrtMemcpy reads what aclrtMemsetAsync writes, and nothing waited for that\n");
  ASSERT_EQ(aclrtSynchronizeStream(stream_), 0);
  ASSERT_EQ(aclrtMemcpy(host, 64, device, 64, ACL_MEMCPY_DEVICE_TO_HOST), 0);
  EXPECT_EQ(host[0], 5);
  EXPECT_EQ(aclrtFree(device), 0);
}

TEST_F(StandInRuntimeTest, FreeingWhatQueuedWorkUsesIsAMisuseEvenIfTheWorkHasRun) {
  standin_set_lateness(kStandinEager);
  void* device = device_bytes(64);
  ASSERT_EQ(aclrtMemsetAsync(device, 64, 5, 64, stream_), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(aclrtFree(device), 0);
  EXPECT_EQ(take_report(),
            "aclrtFree changes what aclrtMemsetAsync writes, and nothing waited for that\n");
}

TEST_F(StandInRuntimeTest, TwoStreamsOnOneArrayNeedAnEventBetweenThem) {
  aclrtStream other = nullptr;
  ASSERT_EQ(aclrtCreateStream(&other), 0);
  void* device = device_bytes(64);
  ASSERT_EQ(aclrtMemsetAsync(device, 64, 5, 64, stream_), 0);
  ASSERT_EQ(aclrtMemsetAsync(device, 64, 6, 64, other), 0);
  EXPECT_EQ(take_report(),
            "aclrtMemsetAsync writes what aclrtMemsetAsync writes on another stream, and no event "
            "orders them\n");
  ASSERT_EQ(aclrtSynchronizeStream(stream_), 0);
  ASSERT_EQ(aclrtSynchronizeStream(other), 0);
  EXPECT_EQ(aclrtFree(device), 0);
  EXPECT_EQ(aclrtDestroyStream(other), 0);
}

TEST_F(StandInRuntimeTest, AnEventOrdersTwoStreamsWhateverTheSeed) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    standin_set_seed(seed);
    aclrtStream other = nullptr;
    aclrtEvent event = nullptr;
    ASSERT_EQ(aclrtCreateStream(&other), 0);
    ASSERT_EQ(aclrtCreateEventWithFlag(&event, ACL_EVENT_SYNC), 0);
    void* device = device_bytes(64);
    ASSERT_EQ(aclrtMemsetAsync(device, 64, 5, 64, other), 0);
    ASSERT_EQ(aclrtRecordEvent(event, other), 0);
    ASSERT_EQ(aclrtStreamWaitEvent(stream_, event), 0);
    ASSERT_EQ(aclrtMemsetAsync(device, 64, 6, 64, stream_), 0);
    ASSERT_EQ(aclrtSynchronizeStream(stream_), 0);
    uint8_t host[64];
    ASSERT_EQ(aclrtMemcpy(host, 64, device, 64, ACL_MEMCPY_DEVICE_TO_HOST), 0);
    EXPECT_EQ(host[63], 6);
    // The wait for one stream was one for what the event had caught of the other.
    EXPECT_EQ(aclrtFree(device), 0);
    EXPECT_EQ(aclrtDestroyEvent(event), 0);
    EXPECT_EQ(aclrtDestroyStream(other), 0);
    EXPECT_STREQ(standin_report(), "");
  }
}

TEST_F(StandInRuntimeTest, TheHostWaitsForAnEventAndForNothingLater) {
  standin_set_lateness(kStandinLatest);
  aclrtEvent event = nullptr;
  ASSERT_EQ(aclrtCreateEventWithFlag(&event, ACL_EVENT_SYNC | ACL_EVENT_CAPTURE_STREAM_PROGRESS),
            0);
  EXPECT_EQ(aclrtSynchronizeEvent(event), 0);
  void* device = device_bytes(128);
  ASSERT_EQ(aclrtMemsetAsync(device, 64, 5, 64, stream_), 0);
  ASSERT_EQ(aclrtRecordEvent(event, stream_), 0);
  ASSERT_EQ(aclrtMemsetAsync(static_cast<uint8_t*>(device) + 64, 64, 6, 64, stream_), 0);
  ASSERT_EQ(aclrtSynchronizeEvent(event), 0);
  uint8_t host[128];
  ASSERT_TRUE(standin_peek(device, 128, host));
  EXPECT_EQ(host[0], 5);
  EXPECT_EQ(host[64], 0xff);
  ASSERT_EQ(aclrtSynchronizeStream(stream_), 0);
  EXPECT_EQ(aclrtDestroyEvent(event), 0);
  EXPECT_EQ(aclrtFree(device), 0);
}

TEST_F(StandInRuntimeTest, AnEventThatIsInUseOrOfTheWrongKindIsCaught) {
  aclrtEvent event = nullptr;
  ASSERT_EQ(aclrtCreateEventWithFlag(&event, ACL_EVENT_TIME_LINE), 0);
  EXPECT_EQ(aclrtStreamWaitEvent(stream_, event), ACL_ERROR_RT_PARAM_INVALID);
  ASSERT_EQ(aclrtRecordEvent(event, stream_), 0);
  EXPECT_EQ(aclrtDestroyEvent(event), 0);
  EXPECT_NE(take_report().find("aclrtDestroyEvent: a record or a wait"), std::string::npos);
  EXPECT_EQ(aclrtRecordEvent(event, stream_), ACL_ERROR_RT_INVALID_HANDLE);
  EXPECT_NE(take_report().find("an event is no handle"), std::string::npos);
}

TEST_F(StandInRuntimeTest, CopiesAreWhatTheirKindAndSizesSay) {
  void* device = device_bytes(100);
  uint8_t host[200] = {};
  EXPECT_EQ(aclrtMemcpy(device, 100, host, 100, ACL_MEMCPY_DEVICE_TO_HOST),
            ACL_ERROR_RT_PARAM_INVALID);
  EXPECT_EQ(aclrtMemcpy(host, 100, host + 100, 100, ACL_MEMCPY_HOST_TO_DEVICE),
            ACL_ERROR_RT_PARAM_INVALID);
  EXPECT_EQ(aclrtMemcpy(device, 50, host, 51, ACL_MEMCPY_HOST_TO_DEVICE),
            ACL_ERROR_RT_PARAM_INVALID);
  EXPECT_STREQ(standin_report(), "");
  EXPECT_EQ(aclrtMemcpy(device, 200, host, 101, ACL_MEMCPY_HOST_TO_DEVICE),
            ACL_ERROR_RT_PARAM_INVALID);
  EXPECT_NE(take_report().find("reaches beyond its allocation"), std::string::npos);
  void* unaligned = static_cast<uint8_t*>(device) + 8;
  EXPECT_EQ(aclrtMemcpyAsync(unaligned, 64, device, 8, ACL_MEMCPY_DEVICE_TO_DEVICE, stream_),
            ACL_ERROR_RT_ADDR_UNALIGNED);
  EXPECT_EQ(aclrtFree(device), 0);
  EXPECT_EQ(aclrtMemcpy(host, 100, device, 100, ACL_MEMCPY_DEVICE_TO_HOST),
            ACL_ERROR_RT_PARAM_INVALID);
  EXPECT_NE(take_report().find("is device memory that is not allocated"), std::string::npos);
  EXPECT_EQ(aclrtFree(device), ACL_ERROR_RT_PARAM_INVALID);
  EXPECT_NE(take_report().find("or is free already"), std::string::npos);
}

TEST_F(StandInRuntimeTest, CopiesAreCountedByDirectionWithTheirBytes) {
  void* device = device_bytes(256);
  uint8_t* pinned = pinned_bytes(100);
  uint8_t host[50] = {};
  standin_clear_counters();
  ASSERT_EQ(aclrtMemcpyAsync(device, 256, pinned, 100, ACL_MEMCPY_HOST_TO_DEVICE, stream_), 0);
  ASSERT_EQ(aclrtMemcpyAsync(static_cast<uint8_t*>(device) + 128, 128, device, 30,
                             ACL_MEMCPY_DEVICE_TO_DEVICE, stream_),
            0);
  ASSERT_EQ(aclrtMemcpyAsync(host, 50, device, 50, ACL_MEMCPY_DEVICE_TO_HOST, stream_), 0);
  StandinCounters c;
  standin_counters(&c);
  EXPECT_EQ(c.calls, 3u);
  EXPECT_EQ(c.host_to_device_copies, 1u);
  EXPECT_EQ(c.host_to_device_bytes, 100u);
  EXPECT_EQ(c.device_to_device_bytes, 30u);
  EXPECT_EQ(c.device_to_host_bytes, 50u);
  EXPECT_EQ(c.device_bytes, 256u);
  EXPECT_EQ(c.host_bytes, 100u);
  EXPECT_STREQ(standin_call_name(3), "aclrtMemcpyAsync");
  // To pageable memory the copy was waited for.
  EXPECT_EQ(aclrtFree(device), 0);
  EXPECT_EQ(aclrtFreeHost(pinned), 0);
}

TEST_F(StandInRuntimeTest, MemoryEnds) {
  standin_set_memory(1000);
  void* device = device_bytes(600);
  void* more = nullptr;
  EXPECT_EQ(aclrtMalloc(&more, 401, ACL_MEM_MALLOC_HUGE_FIRST), ACL_ERROR_RT_MEMORY_ALLOCATION);
  EXPECT_STREQ(aclGetRecentErrMsg(), "aclrtMalloc: out of memory: 401 bytes wanted, 400 free");
  EXPECT_STREQ(aclGetRecentErrMsg(), "");
  size_t free = 0;
  size_t total = 0;
  ASSERT_EQ(aclrtGetMemInfo(ACL_HBM_MEM, &free, &total), 0);
  EXPECT_EQ(free, 400u);
  EXPECT_EQ(total, 1000u);
  EXPECT_EQ(aclrtFree(device), 0);
}

TEST_F(StandInRuntimeTest, ThereMayBeNoDeviceAndEachThreadSetsItsOwn) {
  std::thread([] {
    void* device = nullptr;
    EXPECT_EQ(aclrtMalloc(&device, 1, ACL_MEM_MALLOC_HUGE_FIRST), ACL_ERROR_RT_CONTEXT_NULL);
  }).join();
  standin_set_devices(0);
  uint32_t count = 7;
  EXPECT_EQ(aclrtGetDeviceCount(&count), 0);
  EXPECT_EQ(count, 0u);
  EXPECT_EQ(aclrtSetDevice(0), ACL_ERROR_RT_INVALID_DEVICEID);
  standin_set_devices(1);
  EXPECT_EQ(aclInit(nullptr), ACL_ERROR_REPEAT_INITIALIZE);
  EXPECT_STREQ(aclrtGetSocName(), "Ascend950PR_9599");
}

TEST_F(StandInRuntimeTest, DestroyingAStreamWhoseWorkNobodyWaitedForIsAMisuse) {
  aclrtStream other = nullptr;
  ASSERT_EQ(aclrtCreateStream(&other), 0);
  void* device = device_bytes(64);
  ASSERT_EQ(aclrtMemsetAsync(device, 64, 5, 64, other), 0);
  EXPECT_EQ(aclrtDestroyStream(other), 0);
  EXPECT_NE(take_report().find("aclrtDestroyStream: work of the stream"), std::string::npos);
  EXPECT_EQ(aclrtFree(device), 0);
  EXPECT_EQ(aclrtSynchronizeStream(other), ACL_ERROR_RT_INVALID_HANDLE);
  EXPECT_NE(take_report().find("a stream is no handle"), std::string::npos);
}

TEST_F(StandInRuntimeTest, EachCallCanFailAndThoseThatFreeFreeAllTheSame) {
  void* device = device_bytes(64);
  void* more = nullptr;
  standin_fail_call(2);
  EXPECT_EQ(aclrtMemsetAsync(device, 64, 5, 64, stream_), 0);
  EXPECT_EQ(aclrtMalloc(&more, 64, ACL_MEM_MALLOC_HUGE_FIRST), ACL_ERROR_RT_MEMORY_ALLOCATION);
  EXPECT_NE(std::string(aclGetRecentErrMsg()).find("failure injected"), std::string::npos);
  EXPECT_EQ(more, nullptr);
  standin_fail_call(1);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), ACL_ERROR_RT_AICORE_EXCEPTION);
  standin_fail_call(1);
  EXPECT_EQ(aclrtFree(device), ACL_ERROR_RT_INTERNAL_ERROR);
}

TEST_F(StandInRuntimeTest, AVariableConfiguresIt) {
  ASSERT_EQ(setenv("ASCEND_STAND_IN", "soc=Ascend910B3;devices=3;memory=100;fail=5;late=eager", 1),
            0);
  standin_reset();
  ASSERT_EQ(unsetenv("ASCEND_STAND_IN"), 0);
  uint32_t count = 0;
  EXPECT_EQ(aclInit(nullptr), 0);
  EXPECT_EQ(aclrtSetDevice(2), 0);
  EXPECT_EQ(aclrtGetDeviceCount(&count), 0);
  EXPECT_EQ(count, 3u);
  EXPECT_STREQ(aclrtGetSocName(), "Ascend910B3");
  EXPECT_NE(aclrtResetDevice(2), 0);  // the fifth call
  SetUp();
}

TEST_F(StandInRuntimeDeathTest, AChildWritesItsReportToAFileAsItEnds) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() / "report";
  // The child starts again from main(), with a variable of its own.
  const bool parent = getenv("ASCEND_STAND_IN") == nullptr;
  if (parent) setenv("ASCEND_STAND_IN", ("report=" + path).c_str(), 1);
  EXPECT_EXIT(
      {
        aclrtFree(reinterpret_cast<void*>(64));
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "");
  unsetenv("ASCEND_STAND_IN");
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_NE(text.find("misuse: aclrtFree: the address is not one that was allocated"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\ncalls 4\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace mxvideo::test
