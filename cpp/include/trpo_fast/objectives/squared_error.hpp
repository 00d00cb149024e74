// The critic's loss: mean_n (value_n - target_n)^2.
#pragma once

#include "../types.hpp"

namespace trpo_fast {

// Returns sum_n (value_n - target_n)^2 and writes value_bar_n = scale * 2 (value_n - target_n).
template <class Scalar>
double squared_error(ConstVectorView<Scalar> values,   // (B,)
                     ConstVectorView<Scalar> targets,  // (B,)
                     Scalar scale,                     // 1 / the number of rows of the mean
                     VectorView<Scalar> value_bar      // (B,)
) {
  value_bar = values - targets;
  const double loss = value_bar.template cast<double>().squaredNorm();
  value_bar *= Scalar(2) * scale;
  return loss;
}

}  // namespace trpo_fast
