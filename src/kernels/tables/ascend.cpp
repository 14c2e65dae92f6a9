// Tables are computed on the host, by the rows of the host, and uploaded.
#include <vector>

#include "formats/half.h"
#include "kernels/common/npu.h"
#include "kernels/tables/rows.h"

namespace mxvideo::kernels {
namespace {

void upload_table(const std::vector<float>& values, const DevicePtr<float>& to, Context& context) {
  if (to.dtype() == DType::kBF16) {  // each number twice
    std::vector<uint16_t> doubled;
    doubled.reserve(2 * values.size());
    for (const float value : values) doubled.insert(doubled.end(), 2, formats::encode_bf16(value));
    context.device().upload(reinterpret_cast<std::byte*>(to.get()),
                            reinterpret_cast<const std::byte*>(doubled.data()),
                            static_cast<int64_t>(doubled.size() * sizeof(uint16_t)));
    return;
  }
  context.device().upload(reinterpret_cast<std::byte*>(to.get()),
                          reinterpret_cast<const std::byte*>(values.data()),
                          static_cast<int64_t>(values.size() * sizeof(float)));
}

}  // namespace

void rope_tables_ascend(const RopeTablesArgs& args, std::byte* /*workspace*/, Context& context) {
  const auto count =
      static_cast<size_t>(args.frames * args.rows * args.columns * (args.head_dim / 2));
  std::vector<float> cos(count);
  std::vector<float> sin(count);
  RopeTablesArgs on_host = args;
  on_host.cos = cos.data();
  on_host.sin = sin.data();
  rope_tables_portable(on_host);
  upload_table(cos, args.cos, context);
  upload_table(sin, args.sin, context);
}

void time_sinusoid_ascend(const TimeSinusoidArgs& args, std::byte* /*workspace*/,
                          Context& context) {
  std::vector<float> y(args.timesteps.size() * static_cast<size_t>(args.dim));
  TimeSinusoidArgs on_host = args;
  on_host.y = y.data();
  time_sinusoid_reference(on_host);
  upload_table(y, args.y, context);
}

}  // namespace mxvideo::kernels
