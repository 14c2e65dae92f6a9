// Copies between layouts by aclnnInplaceCopy, whose views keep bits and repeat axes of extent 1;
// what computes is fp32 and rounded once to the type of y, where that is BF16.
#include <algorithm>
#include <vector>

#include "kernels/common/npu.h"
#include "kernels/layout/rows.h"

namespace mxvideo::kernels {
namespace {

struct CopyViews {
  AclView from;
  AclView to;
};

CopyViews views_of(const CopyNdArgs& args) {
  std::vector<int64_t> from_dims, from_strides, to_dims, to_strides;
  for (const CopyAxis& axis : args.axes) {
    if (axis.extent == 1) continue;
    const bool repeats = axis.from == 0;
    from_dims.push_back(repeats ? 1 : axis.extent);
    from_strides.push_back(repeats ? 1 : axis.from);
    to_dims.push_back(axis.extent);
    to_strides.push_back(axis.to);
  }
  if (to_dims.empty()) {
    for (auto* const list : {&from_dims, &from_strides, &to_dims, &to_strides}) list->push_back(1);
  }
  return {{args.x.get(), acl_type(args.x.dtype()), from_dims, from_strides},
          {args.y.get(), acl_type(args.y.dtype()), to_dims, to_strides}};
}

// Grid of pixels by the order in which a fold's channels run.
struct FoldShape {
  int64_t frames, rows, columns, time, space;
};

// [frames, time, rows, space, columns, space, channels]-like view of channels-last video that
// begins at `data`; `row` and `column` count elements.
AclView unfolded(const void* data, AclType type, const FoldShape& grid, int64_t width,
                 int64_t height, int64_t channels) {
  const int64_t row = width * channels, frame = height * row;
  const int64_t dims[] = {grid.frames, grid.rows,  grid.columns, channels,
                          grid.time,   grid.space, grid.space};
  const int64_t strides[] = {
      grid.time * frame, grid.space * row, grid.space * channels, 1, frame, row, channels};
  return {data, type, dims, strides};
}

const void* at(const void* data, AclType type, int64_t element) {
  return static_cast<const std::byte*>(data) + element * ascend::type_size(type);
}

}  // namespace

void copy_nd_ascend(const CopyNdArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  const CopyViews views = views_of(args);
  if (views.to.count() == 0) return;
  npu.copy(views.from, views.to);
  if (args.values == CopyValues::kClampToOne) {
    npu.run(npu.cann().Clamp, in(views.to), scalar(-1), scalar(1), out(views.to));
  }
}

void fill_ascend(const FillArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  const AclView y = npu_rows(args.y, args.rows, args.width, args.stride);
  if (y.count() == 0) return;
  if (args.value == 0 && y.dense()) {
    npu.clear(y);
    return;
  }
  const float value[] = {args.value};
  AclView one = npu.constants(value);
  npu.copy({one.data, one.type, {1, 1}}, y);
}

void blend_ascend(const BlendArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  std::vector<float> shares, rests;
  for (int64_t step = 0; step < args.steps; ++step) {
    shares.push_back(static_cast<float>(step) / static_cast<float>(args.steps));
    rests.push_back(1 - shares.back());
  }
  const auto grid = [&](const auto& data, const BlendStrides& strides) {
    const int64_t dims[] = {args.rows, args.steps, args.width};
    const int64_t steps[] = {strides.row, strides.step, 1};
    return AclView(data.get(), acl_type(data.dtype()), dims, steps);
  };
  const auto by_step = [&](const std::vector<float>& values) {
    return AclView(npu.constants(values).data, AclType::kFloat, {1, args.steps, 1});
  };
  const AclView x = grid(args.x, args.from), y = grid(args.y, args.to);
  const AclView old_part = npu.temporary(AclType::kFloat, {args.rows, args.steps, args.width});
  const AclView new_part = npu.temporary_like(old_part, AclType::kFloat);
  const AclView rest = by_step(rests), share = by_step(shares);
  npu.run(npu.cann().Mul, in(x), in(rest), out(old_part));
  npu.run(npu.cann().Mul, in(y), in(share), out(new_part));
  npu.add(old_part, new_part, y);
}

void channel_affine_ascend(const ChannelAffineArgs& args, std::byte* /*workspace*/,
                           Context& context) {
  Npu npu(context);
  const auto channels = static_cast<int64_t>(args.mean.size());
  const AclView x = npu_view(args.x, {channels, args.per_channel});
  const AclView y = npu_view(args.y, {channels, args.per_channel});
  const auto by_channel = [&](const std::vector<float>& values) {
    return AclView(npu.constants(values).data, AclType::kFloat, {channels, 1});
  };
  const AclView moved = npu.temporary_like(x, AclType::kFloat);
  const AclView mean = by_channel(args.mean);
  std::vector<float> factors = args.deviation;
  if (args.op == ChannelAffineOp::kNormalize) {
    for (float& factor : factors) factor = 1 / factor;
  }
  const AclView factor = by_channel(factors);
  if (args.op == ChannelAffineOp::kNormalize) {
    npu.add(x, mean, moved, -1);
    npu.run(npu.cann().Mul, in(moved), in(factor), out(y));
  } else {
    npu.run(npu.cann().Mul, in(x), in(factor), out(moved));
    npu.add(moved, mean, y);
  }
}

void gather_rows_ascend(const GatherRowsArgs& args, std::byte* /*workspace*/, Context& context) {
  if (args.ids.empty()) return;
  Npu npu(context);
  const auto count = static_cast<int64_t>(args.ids.size());
  const int64_t rows = *std::max_element(args.ids.begin(), args.ids.end()) + 1;
  const AclView table(args.table.get(), acl_type(args.dtype), {rows, args.width});
  AclView found(nullptr, table.type, {count, args.width});
  found.data = npu.memory(AclType::kUint8, found.count() * ascend::type_size(found.type));
  const AclView ids = npu.constants(args.ids);
  npu.run(npu.cann().IndexSelect, in(table), 0, in(ids), out(found));
  const int64_t dims[] = {count, args.width};
  const int64_t strides[] = {args.row_stride, args.column_stride};
  npu.copy(found, {args.y.get(), acl_type(args.y.dtype()), dims, strides});
}

namespace {

// y += the mean of groups of x's folded channels, which are materialised first.
void average_down(const FoldArgs& args, Npu& npu) {
  const FoldExtent& from = args.from;
  const FoldExtent& to = args.to;
  const AclType type = acl_type(args.x.dtype());
  const FoldShape grid{to.frames, to.rows, to.columns, args.time, args.space};
  const int64_t fold = args.time * args.space * args.space;
  // With zero frames in front, and from the pixel on that y begins with.
  const int64_t zeros = to.frames * args.time - from.frames;
  const int64_t pixel = from.columns * from.channels;
  const int64_t first =
      (to.top * args.space - from.top) * pixel + (to.left * args.space - from.left) * from.channels;
  AclView folded = npu.temporary(AclType::kFloat, {to.frames, to.rows, to.columns, from.channels,
                                                   args.time, args.space, args.space});
  AclView source =
      unfolded(at(args.x.get(), type, first), type, grid, from.columns, from.rows, from.channels);
  if (zeros > 0) {
    const AclView padded =
        npu.temporary(type, {to.frames * args.time, from.rows, from.columns, from.channels});
    npu.clear(padded);
    const int64_t frame = from.rows * pixel;
    npu.copy({args.x.get(), type, {from.frames, from.rows, from.columns, from.channels}},
             {at(padded.data, type, zeros * frame),
              type,
              {from.frames, from.rows, from.columns, from.channels}});
    source.data = const_cast<void*>(at(padded.data, type, first));
  }
  npu.copy(source, folded);
  // Element g of every group, in turn.
  const int64_t pixels = to.frames * to.rows * to.columns;
  const int64_t group = from.channels * fold / to.channels;
  const auto member = [&](int64_t g) {
    const int64_t dims[] = {pixels, to.channels};
    const int64_t strides[] = {from.channels * fold, group};
    return AclView(static_cast<float*>(folded.data) + g, AclType::kFloat, dims, strides);
  };
  const AclView sum = npu.temporary(AclType::kFloat, {pixels, to.channels});
  npu.copy(member(0), sum);
  for (int64_t g = 1; g < group; ++g) npu.add(sum, member(g), sum);
  const AclView y = npu_view(args.y, {pixels, to.channels});
  npu.add(y, sum, y, 1.0 / static_cast<double>(group));
}

// y += x with each channel repeated and unfolded into time and space.
void duplicate_up(const FoldArgs& args, Npu& npu) {
  const FoldExtent& from = args.from;
  const FoldExtent& to = args.to;
  const AclType type = acl_type(args.x.dtype());
  const int64_t fold = args.time * args.space * args.space;
  const int64_t repeats = to.channels * fold / from.channels;
  const int64_t pixels = from.frames * from.rows * from.columns;
  const AclView repeated = npu.temporary(type, {pixels, from.channels, repeats});
  npu.copy({args.x.get(), type, {pixels, from.channels, 1}}, repeated);
  // [frames, time, rows, space, columns, space, channels] of channels that run (channel, time, row,
  // column), dense.
  const int64_t pixel = to.channels * fold, row = from.columns * pixel, frame = from.rows * row;
  const int64_t dims[] = {from.frames,  args.time,  from.rows,  args.space,
                          from.columns, args.space, to.channels};
  const int64_t strides[] = {frame, args.space * args.space, row, args.space, pixel, 1, fold};
  const int64_t height = from.rows * args.space, width = from.columns * args.space;
  const AclView whole = npu.temporary(type, {from.frames * args.time, height, width, to.channels});
  npu.copy({repeated.data, type, dims, strides}, {whole.data, type, dims});
  const int64_t dropped = from.frames * args.time - to.frames;
  const int64_t first = ((dropped * height + to.top - from.top * args.space) * width + to.left -
                         from.left * args.space) *
                        to.channels;
  const int64_t part[] = {to.frames, to.rows, to.columns, to.channels};
  const int64_t steps[] = {height * width * to.channels, width * to.channels, to.channels, 1};
  const AclView y(args.y.get(), acl_type(args.y.dtype()), part);
  npu.add(y, {at(whole.data, type, first), type, part, steps}, y);
}

}  // namespace

void fold_ascend(const FoldArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  if (args.op == FoldOp::kAverageDown) {
    average_down(args, npu);
  } else {
    duplicate_up(args, npu);
  }
}

}  // namespace mxvideo::kernels
