// The faults that the isolated device is for are seen on it.
#include "isolated/isolated_device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/layout/fill.h"

namespace mxvideo::test {
namespace {

// x + x on the context's device.
Tensor doubled(const Tensor& x, kernels::Context& context) {
  Tensor y = context.tensor(x.shape());
  kernels::elementwise(
      {.op = kernels::ElementwiseOp::kAdd, .x = x, .z = x, .y = y, .count = x.count()}, context);
  return y;
}

TEST(IsolatedDevice, ComputesWhatTheHostComputes) {
  IsolatedDevice device;
  kernels::Context context({}, device);
  const Tensor host = Tensor::from_values({3}, std::vector<float>{1, -2, 0.5f});
  const Tensor result = doubled(host.copy_to(device), context).copy_to(cpu_device());
  EXPECT_TRUE(std::ranges::equal(result.values(), std::vector<float>{2, -4, 1}));
}

TEST(IsolatedDevice, AReadOnTheHostEndsTheProcess) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH(
      {
        IsolatedDevice device;
        Tensor tensor(DType::kF32, {4}, device);
        device.synchronize();
        volatile std::byte first = *tensor.data();
        static_cast<void>(first);
      },
      "");
}

TEST(IsolatedDevice, WhatIsNotAwaitedHasNotHappened) {
  IsolatedDevice device;
  int seen = 0;
  device.launch([&seen] { seen = 1; });
  EXPECT_EQ(seen, 0);
  device.synchronize();
  EXPECT_EQ(seen, 1);
}

TEST(IsolatedDevice, MemoryThatWasNeverWrittenIsNan) {
  IsolatedDevice device;
  kernels::Context context({}, device);
  const Tensor never = context.tensor({5});
  const Tensor host = doubled(never, context).copy_to(cpu_device());
  for (const float value : host.values()) EXPECT_TRUE(std::isnan(value));
}

TEST(IsolatedDevice, MemoryLivesUntilTheWorkBeforeItsEndHasRun) {
  IsolatedDevice device;
  kernels::Context context({}, device);
  Tensor result;
  {
    Tensor ones = context.tensor({7});
    kernels::fill({.y = ones, .value = 1, .width = 7}, context);
    result = doubled(ones, context);
  }
  EXPECT_EQ(device.allocated_bytes(), result.bytes());
  const Tensor host = result.copy_to(cpu_device());
  EXPECT_TRUE(std::ranges::all_of(host.values(), [](float value) { return value == 2; }));
}

// What a second stream has copied, doubled on the main one.
Tensor doubled_copy(IsolatedDevice& device, bool ordered) {
  kernels::Context context({}, device);
  const Tensor host = Tensor::from_values({2}, std::vector<float>{3, 4});
  const Tensor x = context.tensor(host.shape());
  const std::unique_ptr<Stream> copies = device.make_stream();
  copies->upload(const_cast<std::byte*>(x.data()), host.data(), host.bytes());
  const std::shared_ptr<Event> copied = copies->record();
  if (ordered) device.wait(copied);
  return doubled(x, context).copy_to(cpu_device());
}

TEST(IsolatedDevice, AnEventOrdersTwoStreams) {
  IsolatedDevice device;
  EXPECT_TRUE(std::ranges::equal(doubled_copy(device, true).values(), std::vector<float>{6, 8}));
}

TEST(IsolatedDevice, WithoutAnEventAnotherStreamHasNotRun) {
  IsolatedDevice device;
  const Tensor result = doubled_copy(device, false);
  EXPECT_TRUE(std::isnan(result.values()[0]));
}

TEST(IsolatedDevice, ErrorsOfWorkComeWhenItIsAwaited) {
  IsolatedDevice device;
  device.launch([] { throw Error(Code::kNumerics, "of the work"); });
  try {
    device.synchronize();
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "of the work");
  }
}

}  // namespace
}  // namespace mxvideo::test
