// Scalar functions of the distributions, each without cancellation.
#pragma once

#include <cmath>
#include <limits>

#include "trpo_fast/common/probability.hpp"

namespace trpo_fast {

// expm1(x) - x, which is x^2/2 + O(x^3); exactly 0 at 0.
inline double expm1_minus_x(double x) {
  if (std::abs(x) > 0.25) return std::expm1(x) - x;
  // Taylor series, even and odd terms apart; the first omitted one is below 2^-53 of the sum at |x| = 1/4
  const double y = x * x;
  double even = 1.0 / 479001600, odd = 1.0 / 39916800;  // 1/12!, 1/11!
  even = even * y + 1.0 / 3628800, odd = odd * y + 1.0 / 362880;
  even = even * y + 1.0 / 40320, odd = odd * y + 1.0 / 5040;
  even = even * y + 1.0 / 720, odd = odd * y + 1.0 / 120;
  even = even * y + 1.0 / 24, odd = odd * y + 1.0 / 6;
  return (even * y + x * odd + 0.5) * y;
}

// w (expm1(e) - e) with log w <= 0: the term of exp(KL) - 1 that belongs to an outcome of weight w whose logit changes
// by e relative to the mean. Overflows to Inf only if the KL divergence itself is above 700 nats.
inline double exp_kl_term(double log_w, double w, double e) {
  return e > 30.0 ? std::exp(log_w + e) - w * (1.0 + e) : w * expm1_minus_x(e);
}

// log(1 + exp(x))
inline double softplus(double x) { return x > 0.0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

// CachedUnary: a function of one argument, computed only where the argument differs from that of the previous call (a
// NaN always does).
template <class Function>
class CachedUnary {
 public:
  explicit CachedUnary(Function f) : f_(f) {}
  double operator()(double x) {
    if (x != x_) {
      x_ = x;
      value_ = f_(x);
    }
    return value_;
  }

 private:
  Function f_;
  double x_ = std::numeric_limits<double>::quiet_NaN();
  double value_ = x_;
};

}  // namespace trpo_fast
