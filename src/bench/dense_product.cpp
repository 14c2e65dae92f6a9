#include "bench/dense_product.h"

#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <utility>

namespace mxvideo::bench {
namespace {

using dnnl::memory;
using DataType = memory::data_type;

struct Types {
  DataType x, w;
};

Types types_of(RivalType type) {
  switch (type) {
    case RivalType::kBf16:
      return {DataType::bf16, DataType::bf16};
    case RivalType::kInt8:
      return {DataType::u8, DataType::s8};
    case RivalType::kF32:
      break;
  }
  return {DataType::f32, DataType::f32};
}

}  // namespace

struct DenseProduct::Primitive {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::matmul matmul;
  std::unordered_map<int, memory> arguments;
};

DenseProduct::DenseProduct(std::unique_ptr<Primitive> primitive)
    : primitive_(std::move(primitive)) {}

DenseProduct::~DenseProduct() = default;

std::unique_ptr<DenseProduct> DenseProduct::create(int64_t m, int64_t n, int64_t k,
                                                   RivalType type) try {
  auto primitive = std::make_unique<Primitive>();
  const memory::desc x({m, k}, types_of(type).x, memory::format_tag::ab);
  const memory::desc w({k, n}, types_of(type).w, memory::format_tag::any);
  const memory::desc y({m, n}, DataType::f32, memory::format_tag::ab);
  const dnnl::matmul::primitive_desc description({x, w, y}, primitive->engine);
  if (std::strstr(description.impl_info_str(), "ref") != nullptr) return nullptr;
  primitive->matmul = dnnl::matmul(description);
  for (const auto& [argument, desc] : {std::pair{DNNL_ARG_SRC, description.src_desc()},
                                       {DNNL_ARG_WEIGHTS, description.weights_desc()},
                                       {DNNL_ARG_DST, description.dst_desc()}}) {
    const memory data(desc, primitive->engine);
    // A small normal number in each of the types.
    std::memset(data.get_data_handle(), 0x3e, desc.get_size());
    primitive->arguments.emplace(argument, data);
  }
  return std::unique_ptr<DenseProduct>(new DenseProduct(std::move(primitive)));
} catch (const dnnl::error& error) {
  if (error.status != dnnl_unimplemented) throw;
  return nullptr;
}

void DenseProduct::run() {
  primitive_->matmul.execute(primitive_->stream, primitive_->arguments);
  primitive_->stream.wait();
}

const char* rival_name(RivalType type) {
  constexpr std::array kNames = {"f32", "bf16", "int8"};
  return kNames[static_cast<size_t>(type)];
}

}  // namespace mxvideo::bench
