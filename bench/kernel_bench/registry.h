// The benches of each op, src/kernels/OP/bench.cpp: a function that registers one bench per row of
// the op's table and shape. main() calls them all.
#pragma once

namespace mxvideo::bench {

void register_conv3d();
void register_matmul();
void register_quantize_mx();
void register_vector_ops();  // src/kernels/vector_ops_bench.cpp

}  // namespace mxvideo::bench
