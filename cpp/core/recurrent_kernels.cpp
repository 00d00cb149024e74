#include "recurrent_kernels.hpp"

#include "dense_kernels.hpp"

namespace trpo_fast {

template class Gru<float>;
template class Gru<double>;

}  // namespace trpo_fast
