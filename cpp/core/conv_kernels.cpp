#include "conv_kernels.hpp"

namespace trpo_fast {

template class Conv2d<float>;
template class Conv2d<double>;

}  // namespace trpo_fast
