#include "bench/dense_product.h"

#include <cstring>
#include <memory>
#include <utility>

namespace mxvideo::bench {

using dnnl::memory;

DenseProduct::DenseProduct(int64_t m, int64_t n, int64_t k, memory::data_type type) {
  const memory::desc x({m, k}, type, memory::format_tag::ab);
  const memory::desc w({k, n}, type, memory::format_tag::any);
  const memory::desc y({m, n}, memory::data_type::f32, memory::format_tag::ab);
  const dnnl::matmul::primitive_desc description({x, w, y}, engine_);
  is_reference_ = std::strstr(description.impl_info_str(), "ref") != nullptr;
  matmul_ = dnnl::matmul(description);
  for (const auto& [argument, desc] : {std::pair{DNNL_ARG_SRC, description.src_desc()},
                                       {DNNL_ARG_WEIGHTS, description.weights_desc()},
                                       {DNNL_ARG_DST, description.dst_desc()}}) {
    const memory data(desc, engine_);
    // Any bit pattern of small normal numbers will do for both types.
    std::memset(data.get_data_handle(), 0x3e, desc.get_size());
    arguments_.emplace(argument, data);
  }
}

void DenseProduct::run() {
  matmul_.execute(stream_, arguments_);
  stream_.wait();
}

std::vector<Rival> dense_rivals(int64_t m, int64_t n, int64_t k) {
  std::vector<Rival> rivals;
  for (const auto& [counter, type] :
       {std::pair{"vs_f32", memory::data_type::f32}, {"vs_bf16", memory::data_type::bf16}}) {
    try {
      const auto product = std::make_shared<DenseProduct>(m, n, k, type);
      if (!product->is_reference()) rivals.push_back({counter, [product] { product->run(); }});
    } catch (const dnnl::error&) {
      continue;  // no kernel for this type on this CPU: the counter is absent
    }
  }
  return rivals;
}

}  // namespace mxvideo::bench
