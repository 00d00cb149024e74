// Scalar functions that the distributions share, each free of cancellation.
#pragma once

#include <cmath>

namespace trpo_fast {

// expm1(x) - x, which is x^2/2 + O(x^3); exactly 0 at 0.
inline double expm1_minus_x(double x) {
  if (std::abs(x) > 0.25) return std::expm1(x) - x;
  // Taylor series; the first term left out is below 2^-53 of the sum at |x| = 1/4
  double sum = 0.0;
  for (int k = 14; k >= 2; --k) sum = (1.0 + sum) * x / k;
  return sum * x;
}

// p (expm1(e) - e) from log p: what an outcome adds to exp(KL) - 1 when its logit moves by e against the mean.
// Overflows to Inf only if the KL divergence itself is above 700 nats.
inline double tilted_term(double log_p, double e) {
  const double p = std::exp(log_p);
  return e > 30.0 ? std::exp(log_p + e) - p * (1.0 + e) : p * expm1_minus_x(e);
}

// log(1 + exp(x))
inline double softplus(double x) { return x > 0.0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

// 1 / (1 + exp(-x)), with all its digits in both tails
inline double sigmoid(double x) {
  const double tail = std::exp(-std::abs(x));
  return (x >= 0.0 ? 1.0 : tail) / (1.0 + tail);
}

// The standard normal distribution function: turns normal noise into uniform noise.
inline double normal_cdf(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752440); }

}  // namespace trpo_fast
