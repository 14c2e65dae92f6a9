// The sampler's operations by CANN's elementwise operators, fp32; the order of roundings is not
// that of the reference everywhere: each operator rounds once.
#include "kernels/common/npu.h"
#include "kernels/sampler/rows.h"

namespace mxvideo::kernels {
namespace {

// sample_scale·s - model_scale·m - residual_scale·r, to `to`; without r as if it were zero.
void weigh(const Npu& npu, const UniPcCoefficients& c, const AclView& s, const AclView& m,
           const AclView* r, const AclView& to) {
  npu.run(npu.cann().Muls, in(s), scalar(c.sample_scale), out(to));
  npu.add(to, m, to, -c.model_scale);
  if (r != nullptr) npu.add(to, *r, to, -c.residual_scale);
}

// older_weight·((a - b) / lambda_ratio), to `to`.
void older(const Npu& npu, const UniPcCoefficients& c, const AclView& a, const AclView& b,
           const AclView& to) {
  npu.add(a, b, to, -1);
  npu.run(npu.cann().Muls, in(to), scalar(double{c.older_weight} / double{c.lambda_ratio}),
          out(to));
}

}  // namespace

void guidance_ascend(const GuidanceArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  const AclView cond = npu_view(args.cond, {args.count});
  const AclView uncond = npu_view(args.uncond, {args.count});
  const AclView difference = npu.temporary(AclType::kFloat, {args.count});
  npu.add(cond, uncond, difference, -1);
  npu.add(uncond, difference, npu_view(args.y, {args.count}), args.scale);
}

void non_finite_ascend(const NonFiniteArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  const AclView x = npu_view(args.x, {args.count});
  const AclView finite = npu.temporary(AclType::kBool, {args.count});
  const AclView all = npu.temporary(AclType::kBool, {1});
  npu.run(npu.cann().IsFinite, in(x), out(finite));
  npu.run(npu.cann().All, in(finite), ascend::integers({0}), true, out(all));
  // The first byte of the word.
  npu.clear(npu_view(args.found, {1}));
  npu.run(npu.cann().LogicalNot, in(all), out(AclView(args.found.get(), AclType::kBool, {1})));
}

void unipc_step_ascend(const UniPcStepArgs& args, std::byte* /*workspace*/, Context& context) {
  Npu npu(context);
  const AclView v = npu_view(args.v, {args.count});
  const AclView x = npu_view(args.x, {args.count});
  const AclView last = npu_view(args.last_sample, {args.count});
  const AclView newer = npu_view(args.newer_x0, {args.count});
  const AclView older_x0 = npu_view(args.older_x0, {args.count});
  const AclView x0 = npu.temporary(AclType::kFloat, {args.count});
  const AclView residual = npu.temporary(AclType::kFloat, {args.count});
  const AclView corrected = npu.temporary(AclType::kFloat, {args.count});
  npu.add(x, v, x0, -args.sigma);
  if (args.correct) {
    const UniPcCoefficients& c = args.corrector;
    npu.add(x0, newer, residual, -1);
    npu.run(npu.cann().Muls, in(residual), scalar(c.newer_weight), out(residual));
    if (c.order == 2) {
      const AclView second = npu.temporary(AclType::kFloat, {args.count});
      older(npu, c, older_x0, newer, second);
      npu.add(residual, second, residual);
    }
    weigh(npu, c, last, newer, &residual, corrected);
  } else {
    npu.copy(x, corrected);
  }
  const UniPcCoefficients& p = args.predictor;
  if (p.order == 2) older(npu, p, newer, x0, residual);
  weigh(npu, p, corrected, x0, p.order == 2 ? &residual : nullptr, x);
  npu.copy(corrected, last);
  npu.copy(newer, older_x0);
  npu.copy(x0, newer);
}

}  // namespace mxvideo::kernels
