// Samples of the operations that move values or mix neighbours: fewer of their outermost parts.
#include <algorithm>
#include <array>

#include "kernels/layout/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr double kFloat = 4;  // bytes

double count_of(const CopyNdArgs& args) {
  double count = 1;
  for (const CopyAxis& axis : args.axes) count *= static_cast<double>(axis.extent);
  return count;
}

// A value that `from` repeats is read once.
Work work_of(const CopyNdArgs& args) {
  double read = 1;
  for (const CopyAxis& axis : args.axes) {
    if (axis.from != 0) read *= static_cast<double>(axis.extent);
  }
  return {.bytes = kFloat * (read + count_of(args))};
}

// Floats from the first to the last that one side touches.
int64_t reach(const CopyNdArgs& args, int64_t CopyAxis::*stride) {
  int64_t last = 0;
  for (const CopyAxis& axis : args.axes) last += (axis.extent - 1) * axis.*stride;
  return last + 1;
}

// The same order of the axes without gaps between them, but for what lies between neighbours.
void close_gaps(CopyNdArgs& args, int64_t CopyAxis::*stride) {
  std::array<CopyAxis*, CopyNdArgs::kMaxAxes> order = {};
  std::ranges::transform(args.axes, order.begin(), [](CopyAxis& axis) { return &axis; });
  std::ranges::stable_sort(
      order, [&](const CopyAxis* a, const CopyAxis* b) { return a->*stride < b->*stride; });
  constexpr int64_t kNear = 64;
  int64_t next = 0;
  for (CopyAxis* axis : order) {
    if (axis->*stride == 0 || axis->extent == 1) continue;
    if (next == 0) next = std::min(axis->*stride, kNear);
    axis->*stride = next;
    next *= axis->extent;
  }
}

CopyNdArgs sample_of(const CopyNdArgs& args) {
  CopyNdArgs sample = args;
  while (count_of(sample) > static_cast<double>(kSampleElements)) {
    const auto outermost = std::ranges::max_element(sample.axes, {}, [](const CopyAxis& axis) {
      return axis.extent == 1 ? -1 : std::max(axis.from, axis.to);
    });
    outermost->extent = (outermost->extent + 1) / 2;
  }
  close_gaps(sample, &CopyAxis::from);
  close_gaps(sample, &CopyAxis::to);
  return sample;
}

std::string shape_of(const CopyNdArgs& args) {
  std::string text;
  for (const CopyAxis& axis : args.axes) {
    if (axis.extent == 1) continue;
    text += (text.empty() ? "" : " ") + std::to_string(axis.extent) + ":" +
            std::to_string(axis.from) + ":" + std::to_string(axis.to);
  }
  return text.empty() ? "1" : text;
}

int64_t elements(const FoldExtent& extent) {
  return extent.frames * extent.rows * extent.columns * extent.channels;
}

// Adds to y: reads and writes it.
Work work_of(const FoldArgs& args) {
  return {.bytes = kFloat * static_cast<double>(elements(args.from) + 2 * elements(args.to))};
}

FoldArgs sample_of(const FoldArgs& args) {
  FoldArgs sample = args;
  FoldExtent& fine = args.op == FoldOp::kAverageDown ? sample.from : sample.to;
  FoldExtent& coarse = args.op == FoldOp::kAverageDown ? sample.to : sample.from;
  coarse.rows = sample_rows(
      coarse.rows, elements(coarse) / std::max<int64_t>(coarse.rows, 1) * args.space * args.space);
  fine.rows = coarse.rows * args.space;
  fine.columns = coarse.columns * args.space;
  fine.top = fine.left = coarse.top = coarse.left = 0;
  return sample;
}

Work work_of(const BlendArgs& args) {
  return {.bytes = 3 * kFloat * static_cast<double>(args.rows * args.steps * args.width)};
}

Work work_of(const GatherRowsArgs& args) {
  return {.bytes = static_cast<double>(args.ids.size()) * static_cast<double>(args.width) *
                   (kFloat + static_cast<double>(dtype_size(args.dtype)))};
}

}  // namespace

Workload workload(const CopyNdArgs& args) {
  const CopyNdArgs sample = sample_of(args);
  const bool clamps = args.values == CopyValues::kClampToOne;
  return {.work = work_of(args),
          .shape = shape_of(sample) + (clamps ? " clamped" : ""),
          .sample_work = work_of(sample),
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            CopyNdArgs call = sample;
            call.x = memory.floats(reach(call, &CopyAxis::from));
            call.y = memory.floats(reach(call, &CopyAxis::to));
            return [call, memory](Context& context) { copy_nd(call, context); };
          }};
}

Workload workload(const FoldArgs& args) {
  const FoldArgs sample = sample_of(args);
  return {.work = work_of(args),
          .shape =
              sizes_text({sample.from.frames, sample.from.rows, sample.from.columns,
                          sample.from.channels}) +
              " to " +
              sizes_text({sample.to.frames, sample.to.rows, sample.to.columns, sample.to.channels}),
          .sample_work = work_of(sample),
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            FoldArgs call = sample;
            call.x = memory.floats(elements(call.from));
            call.y = memory.floats(elements(call.to));
            return [call, memory](Context& context) { fold(call, context); };
          }};
}

Workload workload(const BlendArgs& args) {
  BlendArgs sample = args;
  sample.rows = sample_rows(args.rows, args.steps * args.width);
  sample.from = sample.to = {.row = args.steps * args.width, .step = args.width};
  return {.work = work_of(args),
          .shape = sizes_text({sample.rows, sample.steps, sample.width}),
          .sample_work = work_of(sample),
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            BlendArgs call = sample;
            call.x = memory.floats(call.rows * call.steps * call.width);
            call.y = memory.floats(call.rows * call.steps * call.width);
            return [call, memory](Context& context) { blend(call, context); };
          }};
}

Workload workload(const ChannelAffineArgs& args) {
  const auto channels = std::ssize(args.mean);
  ChannelAffineArgs sample = args;
  sample.per_channel = sample_rows(args.per_channel, channels);
  const auto bytes_of = [channels](const ChannelAffineArgs& a) {
    return 2 * kFloat * static_cast<double>(channels * (a.per_channel + 1));
  };
  return {.work = {.bytes = bytes_of(args)},
          .shape = sizes_text({channels, sample.per_channel}),
          .sample_work = {.bytes = bytes_of(sample)},
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            ChannelAffineArgs call = sample;
            const int64_t count = call.per_channel * std::ssize(call.mean);
            call.x = memory.floats(count);
            call.y = memory.floats(count);
            return [call, memory](Context& context) { channel_affine(call, context); };
          }};
}

Workload workload(const FillArgs& args) {
  FillArgs sample = args;
  sample.rows = sample_rows(args.rows, args.width);
  sample.width = std::min(args.width, kSampleElements);
  sample.stride = sample.width;
  const auto bytes_of = [](const FillArgs& a) {
    return kFloat * static_cast<double>(a.rows * a.width);
  };
  return {.work = {.bytes = bytes_of(args)},
          .shape = sizes_text({sample.rows, sample.width}),
          .sample_work = {.bytes = bytes_of(sample)},
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            FillArgs call = sample;
            call.y = memory.floats(call.rows * call.width);
            return [call, memory](Context& context) { fill(call, context); };
          }};
}

Workload workload(const GatherRowsArgs& args) {
  GatherRowsArgs sample = args;
  const int64_t rows = sample_rows(std::ssize(args.ids), args.width);
  sample.ids.assign(static_cast<size_t>(rows), 0);
  sample.row_stride = args.column_stride == 1 ? args.width : 1;
  sample.column_stride = args.column_stride == 1 ? 1 : rows;
  return {.work = work_of(args),
          .shape = sizes_text({rows, args.width}) + " " + std::string(dtype_name(args.dtype)) +
                   (args.column_stride == 1 ? "" : " transposed"),
          .sample_work = work_of(sample),
          .sample = [sample](Device& device) -> SampleCall {
            SampleMemory memory(device);
            GatherRowsArgs call = sample;
            call.table = memory.weights(call.width, call.dtype);
            call.y = memory.floats(std::ssize(call.ids) * call.width);
            return [call, memory](Context& context) { gather_rows(call, context); };
          }};
}

}  // namespace mxvideo::kernels
