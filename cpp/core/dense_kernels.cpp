#include "dense_kernels.hpp"

namespace trpo_fast {

TRPO_FAST_DENSE_KERNELS(template, float);
TRPO_FAST_DENSE_KERNELS(template, double);

}  // namespace trpo_fast
