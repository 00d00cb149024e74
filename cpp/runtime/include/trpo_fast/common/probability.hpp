// Scalar functions of distributions.
#pragma once

#include <cmath>

namespace trpo_fast {

// 1 / (1 + exp(-x)), with all its digits in both tails
inline double sigmoid(double x) {
  const double tail = std::exp(-(std::abs)(x));
  return (x >= 0.0 ? 1.0 : tail) / (1.0 + tail);
}

// The standard normal distribution function. It maps normal noise to uniform noise.
inline double normal_cdf(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752440); }

}  // namespace trpo_fast
