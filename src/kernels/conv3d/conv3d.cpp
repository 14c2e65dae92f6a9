#include "kernels/conv3d/conv3d.h"

#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "kernels/common/single_thread.h"
#include "kernels/conv3d/rows.h"

namespace mxvideo::kernels {
namespace {

using dnnl::memory;

constexpr const char* kOp = "conv3d";
constexpr size_t kMaxPlans = 32;  // per convolution; each holds generated code

dnnl::engine& cpu_engine() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

[[noreturn]] void rethrow(const dnnl::error& error, const char* what) {
  const Code code = error.status == dnnl_out_of_memory ? Code::kOutOfMemory : Code::kInternal;
  throw Error(code, std::string("conv3d: oneDNN cannot ") + what + ": " + error.what());
}

// A convolution without extent in time is a 2-D one over a batch of frames, which oneDNN has
// better kernels for.
bool is_2d(const Conv3dShape& shape) { return shape.kernel_t == 1 && shape.stride_t == 1; }

memory::dims weight_dims(const Conv3dShape& s) {
  if (is_2d(s)) return {s.out_channels, s.in_channels, s.kernel_h, s.kernel_w};
  return {s.out_channels, s.in_channels, s.kernel_t, s.kernel_h, s.kernel_w};
}

memory::desc video_desc(const Conv3dShape& s, const VideoExtent& e, int64_t channels) {
  if (is_2d(s)) {
    return {{e.t, channels, e.h, e.w}, memory::data_type::f32, memory::format_tag::nhwc};
  }
  return {{1, channels, e.t, e.h, e.w}, memory::data_type::f32, memory::format_tag::ndhwc};
}

// One layout of the weights.
struct WeightForm {
  memory::desc desc;
  Tensor storage;  // U8 [desc.get_size()]

  explicit WeightForm(const memory::desc& layout)
      : desc(layout), storage(DType::kU8, {static_cast<int64_t>(layout.get_size())}) {}
  memory as_memory() { return {desc, cpu_engine(), storage.data()}; }
};

// What is kept per input extent and thread count.
struct Plan {
  dnnl::convolution_forward::primitive_desc desc;
  dnnl::convolution_forward primitive;
  size_t form = 0;  // index into State::forms
};

// Whether the order of its sums depends on the number of threads: oneDNN's convolution for
// processors that it generates no code for, 64-bit ARM without SVE among them.
bool needs_single_thread(const dnnl::convolution_forward::primitive_desc& desc) {
  return std::string_view(desc.impl_info_str()) == "gemm:ref";
}

// Whether the number of threads decides how many channels are added at a time, and so the bits:
// oneDNN's batch-reduced products on AVX-512. Those that it has beside them do not.
bool blocks_sums_by_threads(const dnnl::convolution_forward::primitive_desc& desc) {
  return std::string_view(desc.impl_info_str()).starts_with("brgconv");
}

// What oneDNN does for one extent with the present number of threads, or the one that it needs.
dnnl::convolution_forward::primitive_desc describe(const Conv3dShape& shape,
                                                   const VideoExtent& extent) {
  const VideoExtent out = conv3d_output(shape, extent);
  memory::dims strides{shape.stride_h, shape.stride_w};
  memory::dims pad_begin{shape.pad_top, shape.pad_left};
  memory::dims pad_end{shape.pad_bottom, shape.pad_right};
  if (!is_2d(shape)) {
    strides.insert(strides.begin(), shape.stride_t);
    pad_begin.insert(pad_begin.begin(), extent.leading_zeros);
    pad_end.insert(pad_end.begin(), 0);
  }
  const auto f32 = memory::data_type::f32;
  const memory::desc any_weight(weight_dims(shape), f32, memory::format_tag::any);
  const memory::desc bias_desc({shape.out_channels}, f32, memory::format_tag::x);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  // "direct" rather than "auto": Winograd would trade accuracy for speed.
  const dnnl::convolution_forward::desc operation(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
      video_desc(shape, extent, shape.in_channels), any_weight, bias_desc,
      video_desc(shape, out, shape.out_channels), strides, pad_begin, pad_end);
  dnnl::convolution_forward::primitive_desc desc(operation, attributes, cpu_engine());
  while (blocks_sums_by_threads(desc) && desc.next_impl()) {
  }
  if (!needs_single_thread(desc)) return desc;
  const SingleThread single_thread;
  return {operation, attributes, cpu_engine()};
}

memory::desc plain_weights(const Conv3dShape& shape) {
  const auto tag = is_2d(shape) ? memory::format_tag::oihw : memory::format_tag::oidhw;
  return {weight_dims(shape), memory::data_type::f32, tag};
}

// The weights as [out / columns, columns, in, kt, kh, kw], for the row "product": plain, or in the
// order that it asks for.
memory::desc tiled_weights(const Conv3dShape& s, bool plain) {
  const int64_t columns = product_columns(s);
  const memory::dims dims{
      s.out_channels / columns, columns, s.in_channels, s.kernel_t, s.kernel_h, s.kernel_w};
  if (plain) return {dims, memory::data_type::f32, memory::format_tag::abcdef};
  const int64_t column = s.in_channels * columns;
  const int64_t row = s.kernel_w * column;
  const int64_t frame = s.kernel_h * row;
  return {dims, memory::data_type::f32, {s.kernel_t * frame, 1, columns, frame, row, column}};
}

bool is_tiled(const memory::desc& weights) { return weights.dims().size() == 6; }

// Between two layouts of the same weights, of which one is plain if the other is tiled.
void reorder_weights(const Conv3dShape& shape, memory source, memory destination) {
  if (is_tiled(source.get_desc()) != is_tiled(destination.get_desc())) {
    memory& plain = is_tiled(source.get_desc()) ? destination : source;
    plain = memory(tiled_weights(shape, true), cpu_engine(), plain.get_data_handle());
  }
  dnnl::stream stream(cpu_engine());
  dnnl::reorder(source, destination).execute(stream, source, destination);
  stream.wait();
}

enum class ConvRow : uint8_t { kProduct, kOnednn, kReference };

// The row that runs.
ConvRow select_row(const Conv3dShape& shape, Context& context) {
  const std::string forced = context.forced_row(kOp);
  const bool suits = product_columns(shape) != 0;
  if (forced == "product" && !suits) {
    throw Error(Code::kInvalidArgument,
                "kernel conv3d=product cannot run: too few channels, or out_channels is no "
                "multiple of 64 or 96");
  }
  for (const auto& [row, name, runs] : {std::tuple{ConvRow::kProduct, "product", suits},
                                        std::tuple{ConvRow::kOnednn, "onednn", true},
                                        std::tuple{ConvRow::kReference, "reference", true}}) {
    if (runs && (forced.empty() || forced == name)) {
      context.note_choice(kOp, name);
      return row;
    }
  }
  throw Error(Code::kInvalidArgument, std::string("kernel conv3d has no row '") + forced + "'");
}

}  // namespace

struct Conv3d::State {
  Conv3dShape shape;
  std::vector<WeightForm> forms;
  bool first_is_plain = true;  // until another layout was made from it
  Tensor bias;
  std::map<std::pair<VideoExtent, int>, Plan> plans;

  const Plan& plan(const VideoExtent& extent);
  WeightForm plain_form();
  size_t find_or_make_form(const memory::desc& desc);
  void run_onednn(const float* x, const VideoExtent& extent, float* y);
  void run_product(const float* x, const VideoExtent& extent, float* y);
  void run_reference(const float* x, const VideoExtent& extent, float* y);
};

// A copy, made of a layout that is there.
WeightForm Conv3d::State::plain_form() {
  WeightForm plain(plain_weights(shape));
  reorder_weights(shape, forms.front().as_memory(), plain.as_memory());
  return plain;
}

size_t Conv3d::State::find_or_make_form(const memory::desc& desc) {
  for (size_t i = 0; i < forms.size(); ++i) {
    if (forms[i].desc == desc) {
      if (i == 0) first_is_plain = false;  // it is in use
      return i;
    }
  }
  WeightForm form(desc);
  if (first_is_plain) {
    reorder_weights(shape, forms.front().as_memory(), form.as_memory());
  } else {
    reorder_weights(shape, plain_form().as_memory(), form.as_memory());
  }
  if (first_is_plain) {
    forms.clear();
    first_is_plain = false;
  }
  forms.push_back(std::move(form));
  return forms.size() - 1;
}

const Plan& Conv3d::State::plan(const VideoExtent& extent) {
  const std::pair key{extent, num_threads()};
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  if (plans.size() >= kMaxPlans) plans.clear();

  Plan made;
  made.desc = describe(shape, extent);
  made.primitive = dnnl::convolution_forward(made.desc);
  made.form = find_or_make_form(made.desc.weights_desc());
  return plans.emplace(key, std::move(made)).first->second;
}

void Conv3d::State::run_onednn(const float* x, const VideoExtent& extent, float* y) {
  try {
    const Plan& chosen = plan(extent);
    const memory::desc scratch_desc = chosen.desc.scratchpad_desc();
    Tensor scratch(DType::kU8, {static_cast<int64_t>(scratch_desc.get_size())});
    dnnl::stream stream(cpu_engine());
    std::optional<SingleThread> single_thread;
    if (needs_single_thread(chosen.desc)) single_thread.emplace();
    // oneDNN's memory objects know no const; sources are only read.
    chosen.primitive.execute(
        stream, {{DNNL_ARG_SRC, {chosen.desc.src_desc(), cpu_engine(), const_cast<float*>(x)}},
                 {DNNL_ARG_WEIGHTS, forms[chosen.form].as_memory()},
                 {DNNL_ARG_BIAS, {chosen.desc.bias_desc(), cpu_engine(), bias.data()}},
                 {DNNL_ARG_DST, {chosen.desc.dst_desc(), cpu_engine(), y}},
                 {DNNL_ARG_SCRATCHPAD, {scratch_desc, cpu_engine(), scratch.data()}}});
    stream.wait();
  } catch (const dnnl::error& error) {
    rethrow(error, "run the convolution");
  }
}

void Conv3d::State::run_product(const float* x, const VideoExtent& extent, float* y) {
  try {
    const size_t form = find_or_make_form(tiled_weights(shape, false));
    conv3d_product({.shape = &shape,
                    .x = x,
                    .extent = extent,
                    .weight = reinterpret_cast<const float*>(forms[form].storage.data()),
                    .bias = bias.f32(),
                    .y = y});
  } catch (const dnnl::error& error) {
    rethrow(error, "reorder the weights");
  }
}

void Conv3d::State::run_reference(const float* x, const VideoExtent& extent, float* y) {
  try {
    const WeightForm plain = plain_form();
    conv3d_reference({.shape = &shape,
                      .x = x,
                      .extent = extent,
                      .weight = reinterpret_cast<const float*>(plain.storage.data()),
                      .bias = bias.f32(),
                      .y = y});
  } catch (const dnnl::error& error) {
    rethrow(error, "unpack the weights");
  }
}

Conv3d::Conv3d(const Conv3dShape& shape, const TensorView& weight, const TensorView& bias)
    : state_(std::make_unique<State>()) {
  const Shape full{shape.out_channels, shape.in_channels, shape.kernel_t, shape.kernel_h,
                   shape.kernel_w};
  const Shape flat{shape.out_channels, shape.in_channels, shape.kernel_h, shape.kernel_w};
  check(weight.shape == full || (shape.kernel_t == 1 && weight.shape == flat),
        "conv3d: weight shape " + weight.shape.to_string() + " is not " + full.to_string());
  check(bias.shape == Shape{shape.out_channels},
        "conv3d: bias shape " + bias.shape.to_string() + " is not one value per output channel");
  state_->shape = shape;
  state_->bias = to_f32(bias);
  try {
    state_->forms.emplace_back(plain_weights(shape));
  } catch (const dnnl::error& error) {
    rethrow(error, "describe the weights");
  }
  convert_to_f32(weight, reinterpret_cast<float*>(state_->forms.front().storage.data()));
}

Conv3d::~Conv3d() = default;
Conv3d::Conv3d(Conv3d&&) noexcept = default;
Conv3d& Conv3d::operator=(Conv3d&&) noexcept = default;

const Conv3dShape& Conv3d::shape() const { return state_->shape; }

Tensor Conv3d::run(const Tensor& x, Context& context, int64_t leading_zeros) const {
  check(x.shape().rank() == 4 && x.dim(3) == state_->shape.in_channels,
        "conv3d: x is " + x.shape().to_string() + ", expected [t, h, w, " +
            std::to_string(state_->shape.in_channels) + "]");
  const VideoExtent extent{
      .t = x.dim(0), .h = x.dim(1), .w = x.dim(2), .leading_zeros = leading_zeros};
  const VideoExtent out = conv3d_output(state_->shape, extent);
  Tensor y(DType::kF32, {out.t, out.h, out.w, state_->shape.out_channels});
  run(x.f32(), extent, y.f32(), context);
  return y;
}

void Conv3d::run(const float* x, const VideoExtent& extent, float* y, Context& context) const {
  const VideoExtent out = conv3d_output(state_->shape, extent);
  check(out.t > 0 && out.h > 0 && out.w > 0, "conv3d: x is smaller than the kernel");
  check(extent.leading_zeros == 0 || !is_2d(state_->shape),
        "conv3d: leading zero frames need a kernel with an extent in time");
  switch (select_row(state_->shape, context)) {
    case ConvRow::kProduct:
      state_->run_product(x, extent, y);
      break;
    case ConvRow::kOnednn:
      state_->run_onednn(x, extent, y);
      break;
    case ConvRow::kReference:
      state_->run_reference(x, extent, y);
      break;
  }
}

int64_t Conv3d::bytes() const {
  int64_t total = state_->bias.bytes();
  for (const WeightForm& form : state_->forms) total += form.storage.bytes();
  return total;
}

struct Conv3dPlan::State {
  struct Form {
    memory::desc desc;
    PlannedBuffer storage;
  };
  Conv3dShape shape;
  std::vector<Form> forms;
  bool first_is_plain = true;
  PlannedBuffer bias;
  // Working memory per extent and thread count; the extent's weights are reordered already.
  std::map<std::pair<VideoExtent, int>, int64_t> scratch;
  // Kept: the code that oneDNN generates is part of the process that a plan measures.
  std::vector<dnnl::convolution_forward> primitives;

  void add_form(const memory::desc& desc, MemoryTrace& trace) {
    forms.push_back({desc, PlannedBuffer(trace, static_cast<int64_t>(desc.get_size()))});
  }

  void find_or_make_form(const memory::desc& desc, MemoryTrace& trace) {
    for (size_t i = 0; i < forms.size(); ++i) {
      if (forms[i].desc == desc) {
        if (i == 0) first_is_plain = false;
        return;
      }
    }
    add_form(desc, trace);
    if (first_is_plain) forms.erase(forms.begin());
    first_is_plain = false;
  }

  // Working memory of oneDNN's row; the first call of an extent makes its primitive.
  int64_t onednn_scratch(const VideoExtent& extent, MemoryTrace& trace) {
    const std::pair key{extent, num_threads()};
    const auto found = scratch.find(key);
    if (found != scratch.end()) return found->second;
    const auto desc = describe(shape, extent);
    find_or_make_form(desc.weights_desc(), trace);
    primitives.emplace_back(desc);
    const auto bytes = static_cast<int64_t>(desc.scratchpad_desc().get_size());
    return scratch.emplace(key, bytes).first->second;
  }
};

Conv3dPlan::Conv3dPlan(const Conv3dShape& shape) : state_(std::make_unique<State>()) {
  state_->shape = shape;
}

Conv3dPlan::~Conv3dPlan() = default;
Conv3dPlan::Conv3dPlan(Conv3dPlan&&) noexcept = default;
Conv3dPlan& Conv3dPlan::operator=(Conv3dPlan&&) noexcept = default;

void Conv3dPlan::load(MemoryTrace& trace) {
  const Conv3dShape& shape = state_->shape;
  state_->bias = PlannedBuffer(trace, shape.out_channels * static_cast<int64_t>(sizeof(float)));
  try {
    state_->add_form(plain_weights(shape), trace);
  } catch (const dnnl::error& error) {
    rethrow(error, "describe the weights");
  }
}

void Conv3dPlan::run(const VideoExtent& extent, Context& context, MemoryTrace& trace) {
  const Conv3dShape& shape = state_->shape;
  try {
    switch (select_row(shape, context)) {
      case ConvRow::kProduct:
        state_->find_or_make_form(tiled_weights(shape, false), trace);
        trace.pass(product_workspace_bytes(shape, extent));
        break;
      case ConvRow::kOnednn:
        trace.pass(state_->onednn_scratch(extent, trace));
        break;
      case ConvRow::kReference:
        trace.pass(static_cast<int64_t>(plain_weights(shape).get_size()));
        break;
    }
  } catch (const dnnl::error& error) {
    rethrow(error, "plan the convolution");
  }
}

}  // namespace mxvideo::kernels
