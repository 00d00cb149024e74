// The recurrent layers, compiled once per level by recurrent_kernels.cpp (see dense_kernels.hpp).
#pragma once

#include "trpo_fast/network/gru.hpp"

namespace trpo_fast {

extern template class Gru<float>;
extern template class Gru<double>;

}  // namespace trpo_fast
