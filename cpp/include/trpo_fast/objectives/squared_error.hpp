// The critic's loss: mean_n (value_n - target_n)^2.
#pragma once

#include "../types.hpp"

namespace trpo_fast {

// Returns sum_n (value_n - target_n)^2 and writes value_bar_n = scale * 2 (value_n - target_n).
template <class Scalar>
double squared_error(ConstPanel<Scalar> values,  // (B, 1)
                     const Scalar* targets,      // (B,)
                     Scalar scale,               // 1 / the number of rows of the mean
                     Panel<Scalar> value_bar     // (B, 1)
) {
  double loss = 0.0;
  for (Index n = 0; n < values.rows(); ++n) {
    const Scalar error = values(n, 0) - targets[n];
    loss += double(error) * double(error);
    value_bar(n, 0) = error * (Scalar(2) * scale);
  }
  return loss;
}

}  // namespace trpo_fast
