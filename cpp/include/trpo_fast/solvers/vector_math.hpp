// Sums over long vectors in double, in an order that neither addresses nor instruction sets change: without fused
// multiply-add, the same bits on every processor.
#pragma once

#include <cmath>

#include "../types.hpp"

namespace trpo_fast {

// x^T y, as 32 interleaved sums that are then added in pairs
inline double dot(ConstVectorView<double> x, ConstVectorView<double> y) {
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
inline double dot(const Vector<double>& x, const Vector<double>& y) { return dot(view(x), view(y)); }

// ||x||, also where its square overflows; NaN if x contains a NaN
inline double norm(ConstVectorView<double> x) {
  const double largest = x.cwiseAbs().maxCoeff<Eigen::PropagateNaN>();
  if (largest == 0.0 || !std::isfinite(largest)) return largest;
  const Vector<double> scaled = x / largest;
  return largest * std::sqrt(dot(scaled, scaled));
}
inline double norm(const Vector<double>& x) { return norm(view(x)); }

}  // namespace trpo_fast
