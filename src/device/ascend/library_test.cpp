// What is said where CANN, one of its functions or an NPU is missing, and what the owners do with
// statuses. Runs without CANN.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "device/ascend/ascend_device.h"
#include "device/ascend/cann_error.h"
#include "support/test_support.h"

namespace mxvideo::ascend {
namespace {

namespace fs = std::filesystem;
using test::expect_error;

// Links to the test library that `names` are.
fs::path with_libraries(const fs::path& directory, const std::vector<std::string>& names,
                        const char* library) {
  for (const std::string& name : names) {
    fs::remove(directory / name);
    fs::copy_file(library, directory / name);
  }
  return directory;
}

bool contains(const Error& error, const std::string& text) {
  return std::string(error.what()).find(text) != std::string::npos;
}

TEST(AscendLibrary, NamesTheLibraryThatIsMissing) {
  const test::TemporaryDirectory none;
  Error error = expect_error([&] { AscendDevice device({.libraries = none.path()}); });
  EXPECT_EQ(error.code(), Code::kDevice);
  EXPECT_TRUE(contains(error, "libascendcl.so")) << error.what();
  EXPECT_TRUE(contains(error, none.path().string())) << error.what();

  with_libraries(none.path(), {"libascendcl.so"}, MXVIDEO_EMPTY_CANN);
  error = expect_error([&] { AscendDevice device({.libraries = none.path()}); });
  EXPECT_TRUE(contains(error, "library libnnopbase.so")) << error.what();

  with_libraries(none.path(), {"libnnopbase.so", "libopapi_math.so"}, MXVIDEO_EMPTY_CANN);
  error = expect_error([&] { AscendDevice device({.libraries = none.path()}); });
  EXPECT_TRUE(contains(error, "libopapi.so (or libopapi_nn.so)")) << error.what();
}

TEST(AscendLibrary, NamesTheFunctionThatIsMissingAndTheVersion) {
  const test::TemporaryDirectory old;
  with_libraries(old.path(), {"libascendcl.so", "libnnopbase.so", "libopapi.so"},
                 MXVIDEO_CANN_WITHOUT_OPERATORS);
  const Error error = expect_error([&] { CannLibrary library(old.path()); });
  EXPECT_EQ(error.code(), Code::kDevice);
  EXPECT_TRUE(contains(error, "CANN 8.1 has no function aclnnDynamicMxQuantGetWorkspaceSize"))
      << error.what();
}

TEST(AscendLibrary, LoadsTheSplitFormOfTheOperators) {
  const test::TemporaryDirectory split;
  with_libraries(split.path(), {"libascendcl.so", "libnnopbase.so"},
                 MXVIDEO_CANN_WITHOUT_OPERATORS);
  with_libraries(split.path(), {"libopapi_math.so", "libopapi_nn.so", "libopapi_transformer.so"},
                 MXVIDEO_EMPTY_CANN);
  const CannLibrary library(split.path());
  EXPECT_EQ(library.version(), "8.1");
  EXPECT_STREQ(library.Add.name, "aclnnAdd");
  EXPECT_EQ(library.aclInit(nullptr), 0);
}

TEST(AscendLibrary, SaysThatThereIsNoNpu) {
  const test::TemporaryDirectory whole;
  with_libraries(whole.path(), {"libascendcl.so", "libnnopbase.so", "libopapi.so"},
                 MXVIDEO_EMPTY_CANN);
  const AscendOptions options{.libraries = whole.path()};
  Error error = expect_error([&] { AscendDevice device(options); });
  EXPECT_EQ(error.code(), Code::kDevice);
  EXPECT_TRUE(contains(error, "finds no NPU")) << error.what();

  ::setenv("aclrtGetDeviceCount", "500004", 1);
  error = expect_error([&] { AscendDevice device(options); });
  ::unsetenv("aclrtGetDeviceCount");
  EXPECT_EQ(error.code(), Code::kDevice);
  EXPECT_TRUE(
      contains(error, "aclrtGetDeviceCount gave status 500004: EE9999: the cause solution: none"))
      << error.what();
}

TEST(AscendLibrary, ExhaustedMemoryIsAnErrorOfItsOwn) {
  CannFunctions cann;
  cann.aclGetRecentErrMsg = [] { return static_cast<const char*>(nullptr); };
  const Error error =
      expect_error([&] { fail(cann, "aclrtMallocHost", "of 4096 bytes", kMemoryAllocation); });
  EXPECT_EQ(error.code(), Code::kOutOfMemory);
  EXPECT_STREQ(error.what(),
               "device ascend: aclrtMallocHost of 4096 bytes gave status 207001 (out of memory)");
}

TEST(AclView, IsDenseOrHasStridesOfItsOwn) {
  const AclView dense(nullptr, AclType::kBf16, {2, 3, 64});
  EXPECT_TRUE(dense.dense());
  EXPECT_EQ(dense.count(), 384);
  EXPECT_EQ(dense.in_words(), "[2, 3, 64] BF16");
  const std::vector<int64_t> dims{3, 2, 64};
  const std::vector<int64_t> steps{64, 192, 1};
  const AclView turned(nullptr, AclType::kFloat, dims, steps);
  EXPECT_FALSE(turned.dense());
  EXPECT_EQ(turned.in_words(), "[3, 2, 64] FP32 of strides [64, 192, 1]");
}

// Counts what an executor cache asks of CANN.
struct Counts {
  int prepared = 0, repeatable = 0, exchanged = 0, run = 0, tensors = 0, executors_destroyed = 0;
  void* last_address = nullptr;
} counts;

CannFunctions counting_functions() {
  CannFunctions cann;
  cann.aclCreateTensor = [](const int64_t*, uint64_t, int32_t, const int64_t*, int64_t, int32_t,
                            const int64_t*, uint64_t, void*) {
    ++counts.tensors;
    return reinterpret_cast<AclTensor*>(&counts);
  };
  cann.aclDestroyTensor = [](const AclTensor*) { return --counts.tensors, 0; };
  cann.aclSetAclOpExecutorRepeatable = [](AclOpExecutor*) { return ++counts.repeatable, 0; };
  cann.aclDestroyAclOpExecutor = [](AclOpExecutor*) { return ++counts.executors_destroyed, 0; };
  cann.aclSetInputTensorAddr = [](AclOpExecutor*, size_t, AclTensor*, void* address) {
    counts.last_address = address;
    return ++counts.exchanged, 0;
  };
  cann.aclSetOutputTensorAddr = cann.aclSetInputTensorAddr;
  cann.aclGetRecentErrMsg = [] { return ""; };
  return cann;
}

CannOperator<const AclTensor*, AclTensor*> counting_operator(bool repeatable) {
  return {.name = "aclnnSilu",
          .repeatable = repeatable,
          .prepare =
              [](const AclTensor* x, AclTensor*, uint64_t* workspace, AclOpExecutor**) {
                *workspace = 64;
                return ++counts.prepared, x == nullptr ? kNullParameter : 0;
              },
          .run =
              [](void* workspace, uint64_t size, AclOpExecutor*, AclStream) {
                return ++counts.run, workspace != nullptr && size == 64 ? 0 : kInvalidParameter;
              }};
}

TEST(AclView, BeginsAtAnAddressThatCannTakes) {
  alignas(32) const float memory[16] = {};
  const AclView view(memory + 9, AclType::kFloat, {3});
  EXPECT_EQ(view.base(), memory + 8);
  EXPECT_EQ(view.offset(), 1);
}

TEST(ExecutorCache, PreparesOncePerShapeAndExchangesAddresses) {
  counts = {};
  const CannFunctions cann = counting_functions();
  alignas(32) float memory[8];
  {
    ExecutorCache cache(cann, cpu_device());
    const auto op = counting_operator(true);
    alignas(32) float more[3][16];
    for (auto& row : more) {
      run_operator(cache, nullptr, op, in(AclView(row, AclType::kFloat, {2})),
                   out(AclView(row + 8, AclType::kFloat, {2})));
    }
    EXPECT_EQ(counts.prepared, 1);
    EXPECT_EQ(counts.repeatable, 1);
    EXPECT_EQ(counts.exchanged, 4);
    EXPECT_EQ(counts.last_address, more[2] + 8);
    run_operator(cache, nullptr, op, in(AclView(memory, AclType::kFloat, {3})),
                 out(AclView(memory + 4, AclType::kFloat, {3})));
    EXPECT_EQ(counts.prepared, 2);
    // In place is another call: CANN may plan it otherwise.
    run_operator(cache, nullptr, op, in(AclView(memory, AclType::kFloat, {3})),
                 out(AclView(memory, AclType::kFloat, {3})));
    EXPECT_EQ(counts.prepared, 3);
    EXPECT_EQ(cache.launches(), 5);
    EXPECT_EQ(counts.tensors, 6);
  }
  EXPECT_EQ(counts.tensors, 0);
  EXPECT_EQ(counts.executors_destroyed, 3);
}

TEST(ExecutorCache, KeepsTensorsOfSingleCallsUntilTheyHaveRun) {
  counts = {};
  const CannFunctions cann = counting_functions();
  float memory[4];
  ExecutorCache cache(cann, cpu_device());
  for (int i = 0; i < 2; ++i) {
    run_operator(cache, nullptr, counting_operator(false),
                 in(AclView(memory, AclType::kFloat, {2})),
                 out(AclView(memory + 2, AclType::kFloat, {2})));
  }
  EXPECT_EQ(counts.prepared, 2);
  EXPECT_EQ(counts.repeatable, 0);
  EXPECT_EQ(counts.tensors, 4);
  cache.release_finished();
  EXPECT_EQ(counts.tensors, 0);
}

TEST(ExecutorCache, SaysWhichOperatorDoesNotTakeWhichArguments) {
  counts = {};
  const CannFunctions cann = counting_functions();
  float memory[2];
  ExecutorCache cache(cann, cpu_device());
  const Error error = expect_error([&] {
    run_operator(cache, nullptr, counting_operator(true), nullptr,
                 out(AclView(memory, AclType::kFloat, {2})));
  });
  EXPECT_EQ(error.code(), Code::kDevice);
  EXPECT_STREQ(error.what(),
               "device ascend: aclnnSiluGetWorkspaceSize (to [2] FP32) gave status 161001 (a "
               "parameter is missing)");
  EXPECT_EQ(counts.tensors, 0);
}

}  // namespace
}  // namespace mxvideo::ascend
