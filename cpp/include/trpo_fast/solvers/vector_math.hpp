// Sums over long vectors in double, in an order that neither addresses nor instruction sets change.
#pragma once

#include <cmath>

#include "../types.hpp"

namespace trpo_fast {

// x^T y, in 32 interleaved sums
inline double dot(const Vector<double>& x, const Vector<double>& y) {
  constexpr Index n_sums = 32;
  double sums[n_sums] = {};
  const Index whole = x.size() / n_sums * n_sums;
  for (Index i = 0; i < whole; i += n_sums) {
    for (Index j = 0; j < n_sums; ++j) sums[j] += x[i + j] * y[i + j];
  }
  for (Index i = whole; i < x.size(); ++i) sums[i - whole] += x[i] * y[i];
  for (Index half = n_sums / 2; half > 0; half /= 2) {
    for (Index j = 0; j < half; ++j) sums[j] += sums[j + half];
  }
  return sums[0];
}

// ||x||, where its square may overflow too
inline double norm(const Vector<double>& x) {
  const double largest = x.cwiseAbs().maxCoeff();
  if (largest == 0.0 || !std::isfinite(largest)) return largest;
  const Vector<double> scaled = x / largest;
  return largest * std::sqrt(dot(scaled, scaled));
}

}  // namespace trpo_fast
