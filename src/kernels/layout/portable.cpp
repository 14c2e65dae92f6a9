// copy_nd without index arithmetic per element: axes that continue one another in both arrays are
// joined, the axis that is innermost in y becomes a plain loop or a memcpy(), and a counter steps
// over the rest. Writes are sequential, reads as far apart as the layouts are.
#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/parallel.h"
#include "kernels/layout/rows.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kPiece = 1 << 14;  // floats of the innermost loop at most, to share long ones
constexpr int64_t kGrain = 4096;     // floats of a thread's share at least: 16 KB

// A copy in its simplest form.
struct Plan {
  std::array<CopyAxis, CopyNdArgs::kMaxAxes> axes = {};  // outermost in y first, none of extent 1
  int outer = 0;                                         // axes before `run`
  CopyAxis run = {.extent = 1, .from = 1, .to = 1};      // the innermost one
  int64_t rows = 1;                                      // product of the outer extents
};

bool continues(const CopyAxis& outer, const CopyAxis& inner) {
  return outer.from == inner.from * inner.extent && outer.to == inner.to * inner.extent;
}

Plan make_plan(const CopyNdArgs& args) {
  Plan plan;
  auto axes = args.axes;
  std::stable_sort(axes.begin(), axes.end(),
                   [](const CopyAxis& a, const CopyAxis& b) { return a.to > b.to; });
  int count = 0;
  for (const CopyAxis& axis : axes) {
    if (axis.extent == 1) continue;
    if (count > 0 && continues(plan.axes[static_cast<size_t>(count - 1)], axis)) {
      CopyAxis& joined = plan.axes[static_cast<size_t>(count - 1)];
      joined = {.extent = joined.extent * axis.extent, .from = axis.from, .to = axis.to};
    } else {
      plan.axes[static_cast<size_t>(count++)] = axis;
    }
  }
  plan.outer = std::max(0, count - 1);
  if (count > 0) plan.run = plan.axes[static_cast<size_t>(plan.outer)];
  for (int a = 0; a < plan.outer; ++a) plan.rows *= plan.axes[static_cast<size_t>(a)].extent;
  return plan;
}

// Offsets of a row of the outer axes.
class Position {
 public:
  Position(const Plan& plan, int64_t row) : plan_(plan) {
    for (int a = plan.outer; a-- > 0;) {
      const CopyAxis& axis = plan.axes[static_cast<size_t>(a)];
      const int64_t index = row % axis.extent;
      row /= axis.extent;
      index_[static_cast<size_t>(a)] = index;
      from += index * axis.from;
      to += index * axis.to;
    }
  }
  void advance() {
    for (int a = plan_.outer; a-- > 0;) {
      const CopyAxis& axis = plan_.axes[static_cast<size_t>(a)];
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
  const Plan& plan_;
  std::array<int64_t, CopyNdArgs::kMaxAxes> index_ = {};
};

template <bool kClamp>
void copy_run(const float* x, float* y, int64_t count, const CopyAxis& run) {
  if (!kClamp && run.from == 1 && run.to == 1) {
    std::memcpy(y, x, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    float value = x[i * run.from];
    if (kClamp) {
      // A comparison with NaN is false, so NaN stays visible.
      value = value < -1 ? -1 : value;
      value = value > 1 ? 1 : value;
    }
    y[i * run.to] = value;
  }
}

template <bool kClamp>
void copy_all(const CopyNdArgs& args) {
  const Plan plan = make_plan(args);
  if (plan.rows * plan.run.extent <= 0) return;
  const float* x = args.x;
  float* y = args.y;
  const int64_t pieces = ceil_div(plan.run.extent, kPiece);
  const int64_t grain = std::max<int64_t>(1, kGrain / std::min(plan.run.extent, kPiece));
  parallel_for(plan.rows * pieces, grain, [&](int64_t begin, int64_t end) {
    Position at(plan, begin / pieces);
    int64_t piece = begin % pieces;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = piece * kPiece;
      copy_run<kClamp>(x + at.from + first * plan.run.from, y + at.to + first * plan.run.to,
                       std::min(kPiece, plan.run.extent - first), plan.run);
      if (++piece < pieces) continue;
      piece = 0;
      at.advance();
    }
  });
}

}  // namespace

void copy_nd_portable(const CopyNdArgs& args) noexcept {
  args.values == CopyValues::kClampToOne ? copy_all<true>(args) : copy_all<false>(args);
}

}  // namespace mxvideo::kernels
