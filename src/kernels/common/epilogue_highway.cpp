// apply_epilogue: one pass over a piece of y, bound by memory.
#include "kernels/common/epilogue.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/common/epilogue_highway.cpp"
#include "hwy/foreach_target.h"
// foreach_target.h comes first.
#include "kernels/common/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mxvideo::kernels::HWY_NAMESPACE {
namespace {

// In this file the pointers of EpilogueArgs are those of the first output that is computed.
// `load` reads a (partial) vector at a float pointer.
template <class Load>
FloatVec epilogue_vector(const EpilogueArgs& row, FloatVec value, int64_t i, const Load& load) {
  if (row.bias != nullptr) value = hn::Add(value, load(row.bias + i));
  if (row.kind == Epilogue::kGeluTanh) return gelu_tanh(value);
  if (row.kind == Epilogue::kNone) return value;
  const FloatVec residual = load(row.residual + i);
  return row.gate == nullptr ? hn::Add(residual, value)
                             : hn::MulAdd(load(row.gate + i), value, residual);
}

void epilogue_row(const EpilogueArgs& row, const float* accumulators, float* y, int64_t count) {
  const FloatTag d;
  int64_t i = 0;
  for (; i + lanes() <= count; i += lanes()) {
    const auto load = [](const float* p) { return hn::LoadU(FloatTag(), p); };
    hn::StoreU(epilogue_vector(row, load(accumulators + i), i, load), d, y + i);
  }
  if (i == count) return;
  const auto load = [count, i](const float* p) { return load_partial(p, count - i); };
  store_partial(epilogue_vector(row, load(accumulators + i), i, load), y + i, count - i);
}

void epilogue_piece(const EpilogueArgs& args, const EpiloguePiece& piece) {
  EpilogueArgs first = args;
  if (first.bias != nullptr) first.bias += piece.column;
  for (int64_t r = 0; r < piece.rows; ++r) {
    const int64_t row = piece.row + r;
    if (args.residual != nullptr) {
      first.residual = args.residual + row * args.residual_stride + piece.column;
    }
    if (args.gate != nullptr) {
      const int64_t gate_row = args.gate_row == nullptr ? 0 : args.gate_row[row];
      first.gate = args.gate + gate_row * args.gate_stride + piece.column;
    }
    epilogue_row(first, piece.accumulators + r * piece.accumulator_stride,
                 piece.y + r * piece.y_stride, piece.columns);
  }
}

}  // namespace
}  // namespace mxvideo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mxvideo::kernels {

HWY_EXPORT(epilogue_piece);

void apply_epilogue(const EpilogueArgs& args, const EpiloguePiece& piece) noexcept {
  HWY_DYNAMIC_DISPATCH(epilogue_piece)(args, piece);
}

}  // namespace mxvideo::kernels
#endif  // HWY_ONCE
