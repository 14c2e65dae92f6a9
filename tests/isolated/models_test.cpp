// Every golden of the models on the isolated device: the bits of the host, which other tests hold
// against the goldens.
#include <gtest/gtest.h>

#include <algorithm>

#include "isolated/isolated_device.h"
#include "support/golden_models.h"

namespace mxvideo::test {
namespace {

// run(context) on the host and on an isolated device; its results there, as they lie in memory.
template <class Run>
void expect_same_bits(const Run& run, const kernels::RunPolicy& policy = {}) {
  kernels::Context context(policy);
  const std::vector<Tensor> expected = run(context);
  IsolatedDevice device;
  kernels::Context isolated(policy, device);
  const std::vector<Tensor> actual = run(isolated);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(actual[i].shape(), expected[i].shape());
    const Tensor host = actual[i].copy_to(cpu_device());
    EXPECT_TRUE(std::ranges::equal(host.values(), expected[i].values())) << "result " << i;
  }
  EXPECT_EQ(isolated.choices(), context.choices());
}

std::vector<Tensor> list_of(Tensor tensor) {
  std::vector<Tensor> list;
  list.push_back(std::move(tensor));
  return list;
}

class IsolatedTransformer : public testing::TestWithParam<std::string> {};

TEST_P(IsolatedTransformer, HasTheBitsOfTheHost) {
  for (const char* scheme : {"none", "mxfp8"}) {
    for (const auto attention :
         {kernels::AttentionProducts::kFp32, kernels::AttentionProducts::kInt8}) {
      expect_same_bits(
          [&](kernels::Context& context) {
            return list_of(run_golden_transformer(GetParam(), scheme, context));
          },
          {.attention = attention});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, IsolatedTransformer, testing::ValuesIn(goldens("dit")),
                         golden_test_name);

class IsolatedVae : public testing::TestWithParam<std::string> {};

TEST_P(IsolatedVae, HasTheBitsOfTheHost) {
  for (const bool tiled : {false, true}) {
    expect_same_bits(
        [&](kernels::Context& context) { return run_golden_vae(GetParam(), tiled, context); });
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, IsolatedVae, testing::ValuesIn(goldens("vae")), golden_test_name);

class IsolatedTextEncoder : public testing::TestWithParam<std::string> {};

TEST_P(IsolatedTextEncoder, HasTheBitsOfTheHost) {
  for (const char* scheme : {"none", "mxfp8"}) {
    expect_same_bits([&](kernels::Context& context) {
      return list_of(run_golden_text_encoder(GetParam(), scheme, context));
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, IsolatedTextEncoder, testing::ValuesIn(goldens("umt5")),
                         golden_test_name);

}  // namespace
}  // namespace mxvideo::test
