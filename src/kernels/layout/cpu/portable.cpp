// copy_nd without index arithmetic per element and with both arrays in the cache. Axes that
// continue one another are joined; then one axis becomes the innermost loop, the run:
//   where a run is contiguous on both sides, memcpy() along it;
//   else the longest of the near axes, whose stride is short on one side at least, 64 steps at a
//   time, with loops over the other near ones around it, so that what one side skips of a cache
//   line is taken before the line is gone.
// Counters step over all other axes.
#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/parallel.h"
#include "kernels/layout/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kGrain = 4096;  // floats of a thread's share at least: 16 KB
constexpr int64_t kLongRun = 16;  // floats of a contiguous run that memcpy() pays for
constexpr int64_t kContiguousBlock = 1 << 14;
constexpr int64_t kStridedBlock = 64;
constexpr int64_t kNearStride = 64;

int64_t shorter_stride(const CopyAxis& axis) { return std::min(axis.from, axis.to); }

// Nested loops, the outermost first.
struct Loops {
  std::array<CopyAxis, CopyNdArgs::kMaxAxes> axes = {};
  int rank = 0;
  int64_t count = 1;  // product of the extents

  std::span<const CopyAxis> all() const { return {axes.data(), static_cast<size_t>(rank)}; }
  CopyAxis& last() { return axes[static_cast<size_t>(rank - 1)]; }
  void add(const CopyAxis& axis) {
    axes[static_cast<size_t>(rank++)] = axis;
    count *= axis.extent;
  }
};

struct Plan {
  Loops far;
  Loops near;
  CopyAxis run = {.extent = 1, .from = 1, .to = 1};
  int64_t block = 1;  // steps of `run` at a time
};

// The axes of more than one element, those that continue one another joined.
Loops joined(const CopyNdArgs& args) {
  auto axes = args.axes;
  std::stable_sort(axes.begin(), axes.end(),
                   [](const CopyAxis& a, const CopyAxis& b) { return a.to > b.to; });
  Loops loops;
  for (const CopyAxis& axis : axes) {
    if (axis.extent == 1) continue;
    if (loops.rank > 0 && loops.last().from == axis.from * axis.extent &&
        loops.last().to == axis.to * axis.extent) {
      loops.last() = {loops.last().extent * axis.extent, axis.from, axis.to};
    } else {
      loops.add(axis);
    }
  }
  return loops;
}

Plan make_plan(const CopyNdArgs& args) {
  Loops loops = joined(args);
  Plan plan;
  if (loops.rank == 0) return plan;
  std::stable_sort(
      loops.axes.begin(), loops.axes.begin() + loops.rank,
      [](const CopyAxis& a, const CopyAxis& b) { return shorter_stride(a) > shorter_stride(b); });
  const auto all = loops.all();
  const auto contiguous = std::ranges::find_if(all, [](const CopyAxis& axis) {
    return axis.from == 1 && axis.to == 1 && axis.extent >= kLongRun;
  });
  auto first_near = std::ranges::find_if(
      all, [](const CopyAxis& axis) { return shorter_stride(axis) <= kNearStride; });
  if (first_near == all.end()) --first_near;
  const bool copies_runs = contiguous != all.end();
  const auto run = copies_runs ? contiguous
                               : std::max_element(first_near, all.end(),
                                                  [](const CopyAxis& a, const CopyAxis& b) {
                                                    return a.extent < b.extent;
                                                  });
  plan.run = *run;
  plan.block = copies_runs ? kContiguousBlock : kStridedBlock;
  for (auto axis = all.begin(); axis != all.end(); ++axis) {
    if (axis == run) continue;
    (copies_runs || axis < first_near ? plan.far : plan.near).add(*axis);
  }
  return plan;
}

// Offsets of an iteration of `loops`.
class Position {
 public:
  Position(const Loops& loops, int64_t iteration) : loops_(loops) {
    for (int a = loops.rank; a-- > 0;) {
      const CopyAxis& axis = loops.axes[static_cast<size_t>(a)];
      const int64_t index = iteration % axis.extent;
      iteration /= axis.extent;
      index_[static_cast<size_t>(a)] = index;
      from += index * axis.from;
      to += index * axis.to;
    }
  }
  void advance() {
    for (int a = loops_.rank; a-- > 0;) {
      const CopyAxis& axis = loops_.axes[static_cast<size_t>(a)];
      int64_t& index = index_[static_cast<size_t>(a)];
      from += axis.from;
      to += axis.to;
      if (++index < axis.extent) return;
      from -= axis.extent * axis.from;
      to -= axis.extent * axis.to;
      index = 0;
    }
  }

  int64_t from = 0;
  int64_t to = 0;

 private:
  const Loops& loops_;
  std::array<int64_t, CopyNdArgs::kMaxAxes> index_ = {};
};

float clamped(float value) {
  // A comparison with NaN is false, so NaN stays visible.
  const float low = value < -1 ? -1 : value;
  return low > 1 ? 1 : low;
}

template <bool kClamp>
void copy_run(const float* x, float* y, int64_t count, const CopyAxis& run) {
  if (run.from == 1 && run.to == 1) {
    if (kClamp) {
      for (int64_t i = 0; i < count; ++i) y[i] = clamped(x[i]);
    } else {
      std::memcpy(y, x, static_cast<size_t>(count) * sizeof(float));
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const float value = x[i * run.from];
    y[i * run.to] = kClamp ? clamped(value) : value;
  }
}

template <bool kClamp>
void copy_all(const CopyNdArgs& args) {
  const Plan plan = make_plan(args);
  if (plan.far.count * plan.near.count * plan.run.extent <= 0) return;
  const float* x = args.x;
  float* y = args.y;
  const int64_t blocks = ceil_div(plan.run.extent, plan.block);
  const int64_t task = std::min(plan.run.extent, plan.block) * plan.near.count;
  parallel_for(plan.far.count * blocks, std::max<int64_t>(1, kGrain / task),
               [&](int64_t begin, int64_t end) {
                 Position far(plan.far, begin / blocks);
                 int64_t block = begin % blocks;
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t first = block * plan.block;
                   const int64_t count = std::min(plan.block, plan.run.extent - first);
                   const float* from = x + far.from + first * plan.run.from;
                   float* to = y + far.to + first * plan.run.to;
                   Position near(plan.near, 0);
                   for (int64_t n = 0; n < plan.near.count; ++n, near.advance()) {
                     copy_run<kClamp>(from + near.from, to + near.to, count, plan.run);
                   }
                   if (++block < blocks) continue;
                   block = 0;
                   far.advance();
                 }
               });
}

}  // namespace

void copy_nd_portable(const CopyNdArgs& args) noexcept {
  args.values == CopyValues::kClampToOne ? copy_all<true>(args) : copy_all<false>(args);
}

}  // namespace mxvideo::kernels
