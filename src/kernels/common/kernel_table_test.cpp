// Choosing among rows of several devices.
#include "kernels/common/kernel_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/expect_error.h"

namespace mxvideo::kernels {
namespace {

// Host memory under another name.
class FarDevice final : public Device {
 public:
  const char* name() const override { return "far"; }
  DeviceKind kind() const override { return DeviceKind::kAscend; }
  DType activation_type() const override { return DType::kBF16; }
  std::byte* allocate(int64_t bytes) override { return cpu_device().allocate(bytes); }
  void deallocate(std::byte* data, int64_t bytes) noexcept override {
    cpu_device().deallocate(data, bytes);
  }
  int64_t allocated_bytes() const override { return cpu_device().allocated_bytes(); }
  int64_t peak_allocated_bytes() const override { return cpu_device().peak_allocated_bytes(); }
  void reset_peak_allocated_bytes() override {}
  void upload(std::byte* to, const std::byte* from, int64_t bytes) override {
    cpu_device().upload(to, from, bytes);
  }
  void download(std::byte* to, const std::byte* from, int64_t bytes) override {
    cpu_device().download(to, from, bytes);
  }
};

struct Args {
  int64_t count = 0;
  std::vector<std::string>* log = nullptr;
};

Workload workload(const Args& args) {
  return {.work = {.flops = 0, .bytes = static_cast<double>(args.count)}};
}

const char* reject_large(const Args& args, const RunPolicy& /*policy*/) noexcept {
  return args.count > 10 ? "more than 10" : nullptr;
}

constexpr Row<Args> kRows[] = {
    {.name = "far",
     .requires_cpu = kCpuNone,
     .reject = reject_large,
     .run = nullptr,
     .device = DeviceKind::kAscend,
     .launch =
         [](const Args& args, std::byte* workspace, Context& context) {
           args.log->push_back(std::string(workspace == nullptr ? "no" : "has") + " workspace");
           EXPECT_EQ(context.device().kind(), DeviceKind::kAscend);
         },
     .workspace_bytes = [](const Args& args) noexcept { return args.count; }},
    {"reference", kCpuNone, accept_all<Args>,
     [](const Args& args) noexcept { args.log->push_back("reference"); }},
};

void call(const Args& args, Context& context) {
  const Row<Args>& row = select<Row<Args>>("op", kRows, args, context);
  if (launched_by(row, args, context)) return;
  row.run(args);
}

TEST(KernelTable, RowsAreThoseOfTheDevice) {
  FarDevice device;
  Context far({}, device), host;
  std::vector<std::string> log;
  call({.count = 8, .log = &log}, far);
  call({.count = 0, .log = &log}, far);
  call({.count = 8, .log = &log}, host);
  EXPECT_EQ(log, (std::vector<std::string>{"has workspace", "no workspace", "reference"}));
  EXPECT_EQ(far.choices().at({"op", "far"}), 2);
}

TEST(KernelTable, NoRowOfAnotherDeviceStepsIn) {
  FarDevice device;
  Context far({}, device);
  std::vector<std::string> log;
  test::expect_error_with(Code::kUnsupported,
                          "kernel op: device ascend has no row for this call: more than 10",
                          [&] { call({.count = 11, .log = &log}, far); });
  far.policy.forced_rows["op"] = "reference";
  test::expect_error_with(Code::kInvalidArgument, "device ascend has no row 'reference'",
                          [&] { call({.count = 1, .log = &log}, far); });
  Context host({.forced_rows = {{"op", "far"}}});
  test::expect_error_with(Code::kInvalidArgument, "device cpu has no row 'far'",
                          [&] { call({.count = 1, .log = &log}, host); });
  EXPECT_TRUE(log.empty());
}

TEST(DevicePtr, ActivationsOfTwoBytesAreCountedAsSuch) {
  FarDevice device;
  const Context context({}, device);
  const Tensor activations = context.activations({4});
  const DevicePtr<const float> third = activations.from(3);
  EXPECT_EQ(third.dtype(), DType::kBF16);
  EXPECT_EQ(reinterpret_cast<const std::byte*>(third.get()), activations.data() + 6);
  const Tensor sums = context.tensor({4});
  EXPECT_EQ(sums.from(3).dtype(), DType::kF32);
  EXPECT_EQ(reinterpret_cast<const std::byte*>(sums.from(3).get()), sums.data() + 12);
  // The host has no such activations.
  const Tensor stored(DType::kBF16, {4});
  EXPECT_THROW(stored.from(0), Error);
}

}  // namespace
}  // namespace mxvideo::kernels
