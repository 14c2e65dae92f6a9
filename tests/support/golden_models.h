// The models of the goldens, run on any device: what tests of devices compare with the host.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/common/context.h"
#include "tensor/tensor.h"

namespace mxvideo::test {

// Files of a folder of goldens, as "dit/NAME", sorted; and how a test of one is called.
std::vector<std::string> goldens(const std::string& folder);
std::string golden_test_name(const testing::TestParamInfo<std::string>& instance);

// What a model hands out on its way, on its device.
using Observer = std::function<void(const std::string& name, const Tensor& value)>;

// The result of the golden's input, on the context's device, when its work is done. The scheme is
// of the linear layers, "none" or "mxfp8".
Tensor run_golden_transformer(const std::string& golden, const char* scheme,
                              kernels::Context& context, const Observer& observer = {});
// Of the parts of a decoded video or the latents of an encoded one, on the host or the device.
std::vector<Tensor> run_golden_vae(const std::string& golden, bool tiled, kernels::Context& context,
                                   const Observer& observer = {});
Tensor run_golden_text_encoder(const std::string& golden, const char* scheme,
                               kernels::Context& context, const Observer& observer = {});

}  // namespace mxvideo::test
