// The matrix products and the dense layer, compiled once per level by dense_kernels.cpp: they need much of the
// compiler's time.
#pragma once

#include "trpo_fast/kernels/products.hpp"
#include "trpo_fast/network/dense.hpp"

#define TRPO_FAST_DENSE_KERNELS(template_, Scalar)                                \
  template_ class Dense<Scalar>;                                                  \
  template_ void multiply(ConstPanel<Scalar>, ConstPanel<Scalar>, Panel<Scalar>); \
  template_ void add_outer_products(Index, const Scalar*, Index, Index, const Scalar*, Index, Index, Scalar*)

namespace trpo_fast {

TRPO_FAST_DENSE_KERNELS(extern template, float);
TRPO_FAST_DENSE_KERNELS(extern template, double);

}  // namespace trpo_fast
