// The convolution, compiled once per level by conv_kernels.cpp (see dense_kernels.hpp).
#pragma once

#include "trpo_fast/network/conv2d.hpp"

namespace trpo_fast {

extern template class Conv2d<float>;
extern template class Conv2d<double>;

}  // namespace trpo_fast
