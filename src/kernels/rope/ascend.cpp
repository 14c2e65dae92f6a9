// aclnnRotaryPositionEmbedding in its interleaved mode: cosines and sines are rounded to x's type,
// and the result once.
#include "kernels/rope/ascend.h"

#include "kernels/rope/rows.h"

namespace mxvideo::kernels {

AclView rope_table_ascend(Npu& npu, const DevicePtr<const float>& table, int64_t rows,
                          int64_t head_dim, AclType type) {
  if (table.dtype() == DType::kBF16) {
    return npu.as({table.get(), AclType::kBf16, {1, rows, 1, head_dim}}, type);
  }
  const int64_t pairs = head_dim / 2;
  const AclView doubled = npu.temporary(type, {rows, pairs, 2});
  npu.copy(npu_view(table, {rows, pairs, 1}), doubled);
  return {doubled.data, type, {1, rows, 1, head_dim}};
}

void rope_ascend(const RopeArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  const AclView x = npu_view(args.x, {1, args.rows, args.heads, args.head_dim});
  const AclView cos = rope_table_ascend(npu, args.cos, args.rows, args.head_dim, x.type);
  const AclView sin = rope_table_ascend(npu, args.sin, args.rows, args.head_dim, x.type);
  const AclView rotated = npu.temporary_like(x, x.type);
  npu.run(npu.cann().RotaryPositionEmbedding, in(x), in(cos), in(sin), kInterleavedRope,
          out(rotated));
  npu.copy(rotated, x);
}

}  // namespace mxvideo::kernels
