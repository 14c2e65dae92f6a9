#include "kernels/conv3d/conv3d.h"

#include <list>
#include <map>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/parallel.h"
#include "kernels/common/single_thread.h"
#include "kernels/conv3d/rows.h"

namespace mxvideo::kernels {
namespace {

using dnnl::memory;

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

// Why the row that gathers pixels does not suit.
const char* reject_product(const Conv3dCall& call, const RunPolicy& /*policy*/) noexcept {
  return product_columns(call.shape) != 0
             ? nullptr
             : "too few channels, or out_channels is no multiple of 64 or 96";
}

constexpr Conv3dRow kRows[] = {
    {"ascend", kCpuNone, accept_all<Conv3dCall>, Conv3dMethod::kAscend, DeviceKind::kAscend},
    {"product", kCpuNone, reject_product, Conv3dMethod::kProduct},
    {"onednn", kCpuNone, accept_all<Conv3dCall>, Conv3dMethod::kOnednn},
    {"reference", kCpuNone, accept_all<Conv3dCall>, Conv3dMethod::kReference},
};

// Work with a primitive that throws in the words of this program.
template <class Work>
void call_onednn(const char* what, const Work& work) {
  try {
    work();
  } catch (const dnnl::error& error) {
    rethrow(error, what);
  }
}

// One layout of the weights, on the device.
struct WeightForm {
  memory::desc desc;
  Tensor storage;  // U8 [desc.get_size()]

  WeightForm(Device& device, const memory::desc& layout)
      : desc(layout), storage(DType::kU8, {static_cast<int64_t>(layout.get_size())}, device) {}
};

// What is kept per input extent and thread count.
struct Plan {
  dnnl::convolution_forward::primitive_desc desc;
  dnnl::convolution_forward primitive;
  const std::byte* weights = nullptr;
};

// Launches the copy of one layout to another.
void reorder(const Conv3dShape& shape, const WeightForm& from, WeightForm& to) {
  from.storage.device().launch([shape, from_desc = from.desc, to_desc = to.desc,
                                source = from.storage.data(), destination = to.storage.data()] {
    call_onednn("reorder the weights", [&] {
      // oneDNN's memory objects know no const; the source is only read.
      reorder_weights(shape, {from_desc, cpu_engine(), const_cast<std::byte*>(source)},
                      {to_desc, cpu_engine(), destination});
    });
  });
}

}  // namespace

std::span<const Conv3dRow> conv3d_rows() { return kRows; }

struct Conv3d::State {
  State(Device& memory_device, const Conv3dShape& conv_shape)
      : device(memory_device), shape(conv_shape) {}

  Device& device;
  Conv3dShape shape;
  std::list<WeightForm> forms;
  bool first_is_plain = true;  // until another layout was made from it
  Tensor bias;
  Tensor npu_weight;  // BF16, of the NPU alone: then there are no forms, and the bias is BF16
  std::map<std::pair<VideoExtent, int>, Plan> plans;

  Plan plan(const VideoExtent& extent);
  WeightForm plain_form() const;
  const std::byte* find_or_make_form(const memory::desc& desc);
  void run_onednn(const Conv3dArgs& args, Context& context);
  void run_product(Conv3dArgs args, Context& context);
  void run_reference(Conv3dArgs args, Context& context);
};

// A copy, made of a layout that is there.
WeightForm Conv3d::State::plain_form() const {
  WeightForm plain(device, plain_weights(shape));
  reorder(shape, forms.front(), plain);
  return plain;
}

const std::byte* Conv3d::State::find_or_make_form(const memory::desc& desc) {
  for (WeightForm& form : forms) {
    if (form.desc != desc) continue;
    if (&form == &forms.front()) first_is_plain = false;  // it is in use
    return form.storage.data();
  }
  WeightForm form(device, desc);
  if (first_is_plain) {
    reorder(shape, forms.front(), form);
    forms.clear();
    first_is_plain = false;
  } else {
    reorder(shape, plain_form(), form);
  }
  return forms.emplace_back(std::move(form)).storage.data();
}

Plan Conv3d::State::plan(const VideoExtent& extent) {
  const std::pair key{extent, num_threads()};
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  if (plans.size() >= kMaxPlans) plans.clear();

  Plan made;
  made.desc = describe(shape, extent);
  made.primitive = dnnl::convolution_forward(made.desc);
  made.weights = find_or_make_form(made.desc.weights_desc());
  return plans.emplace(key, std::move(made)).first->second;
}

void Conv3d::State::run_onednn(const Conv3dArgs& args, Context& context) {
  const Plan chosen = plan(args.extent);
  const memory::desc scratch_desc = chosen.desc.scratchpad_desc();
  const auto scratch = std::make_shared<Tensor>(
      context.tensor({static_cast<int64_t>(scratch_desc.get_size())}, DType::kU8));
  context.launch([args, chosen, scratch_desc, scratch] {
    call_onednn("run the convolution", [&] {
      dnnl::stream stream(cpu_engine());
      std::optional<SingleThread> single_thread;
      if (needs_single_thread(chosen.desc)) single_thread.emplace();
      const auto read_only = [](const memory::desc& desc, const void* data) {
        return memory(desc, cpu_engine(), const_cast<void*>(data));
      };
      chosen.primitive.execute(
          stream, {{DNNL_ARG_SRC, read_only(chosen.desc.src_desc(), args.x.get())},
                   {DNNL_ARG_WEIGHTS, read_only(chosen.desc.weights_desc(), chosen.weights)},
                   {DNNL_ARG_BIAS, read_only(chosen.desc.bias_desc(), args.bias.get())},
                   {DNNL_ARG_DST, {chosen.desc.dst_desc(), cpu_engine(), args.y.get()}},
                   {DNNL_ARG_SCRATCHPAD, {scratch_desc, cpu_engine(), scratch->data()}}});
      stream.wait();
    });
  });
}

void Conv3d::State::run_product(Conv3dArgs args, Context& context) {
  args.weight = reinterpret_cast<const float*>(find_or_make_form(tiled_weights(shape, false)));
  conv3d_product(args, context);
}

void Conv3d::State::run_reference(Conv3dArgs args, Context& context) {
  const auto plain = std::make_shared<WeightForm>(plain_form());
  args.weight = reinterpret_cast<const float*>(plain->storage.data());
  context.launch([args, plain] { conv3d_reference(args); });
}

Conv3d::Conv3d(const Conv3dShape& shape, const TensorView& weight, const TensorView& bias,
               Device& device)
    : state_(std::make_unique<State>(device, shape)) {
  const Shape full{shape.out_channels, shape.in_channels, shape.kernel_t, shape.kernel_h,
                   shape.kernel_w};
  const Shape flat{shape.out_channels, shape.in_channels, shape.kernel_h, shape.kernel_w};
  check(weight.shape == full || (shape.kernel_t == 1 && weight.shape == flat),
        "conv3d: weight shape " + weight.shape.to_string() + " is not " + full.to_string());
  check(bias.shape == Shape{shape.out_channels},
        "conv3d: bias shape " + bias.shape.to_string() + " is not one value per output channel");
  if (device.kind() == DeviceKind::kAscend) {
    state_->npu_weight = to_bf16(weight, device);
    state_->bias = to_bf16(bias, device);
    return;
  }
  state_->bias = to_f32(bias, device);
  call_onednn("describe the weights",
              [&] { state_->forms.emplace_back(device, plain_weights(shape)); });
  auto* const values = reinterpret_cast<float*>(state_->forms.front().storage.data());
  device.launch([weight, values] { convert_to_f32(weight, values); });
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
  Tensor y = context.activations({out.t, out.h, out.w, state_->shape.out_channels});
  run(x, extent, y, context);
  return y;
}

void Conv3d::run(DevicePtr<const float> x, const VideoExtent& extent, DevicePtr<float> y,
                 Context& context) const {
  const VideoExtent out = conv3d_output(state_->shape, extent);
  check(out.t > 0 && out.h > 0 && out.w > 0, "conv3d: x is smaller than the kernel");
  check(extent.leading_zeros == 0 || !is_2d(state_->shape),
        "conv3d: leading zero frames need a kernel with an extent in time");
  const Conv3dRow& row = select("conv3d", conv3d_rows(), {state_->shape, extent}, context);
  if (row.method == Conv3dMethod::kAscend) {
    conv3d_ascend({.shape = state_->shape,
                   .x = x,
                   .extent = extent,
                   .weight = state_->npu_weight.data(),
                   .bias = std::as_const(state_->bias).data(),
                   .y = y},
                  context);
    return;
  }
  const Conv3dArgs args = {
      .shape = state_->shape, .x = x, .extent = extent, .bias = state_->bias, .y = y};
  call_onednn("prepare the convolution", [&] {
    switch (row.method) {
      case Conv3dMethod::kProduct:
        return state_->run_product(args, context);
      case Conv3dMethod::kOnednn:
        return state_->run_onednn(args, context);
      case Conv3dMethod::kReference:
        return state_->run_reference(args, context);
      case Conv3dMethod::kAscend:
        break;
    }
  });
}

int64_t Conv3d::bytes() const {
  int64_t total = state_->bias.bytes() + state_->npu_weight.bytes();
  for (const WeightForm& form : state_->forms) total += form.storage.bytes();
  return total;
}

}  // namespace mxvideo::kernels
