// The inverse of a dense matrix, with additions in a fixed order. Eigen's decompositions block their products by the
// processor's packet and cache sizes, so their bits differ between processors.
#pragma once

#include <cmath>

#include "../types.hpp"

namespace trpo_fast {

// a = a^-1, of which the lower triangle is read, by symmetric sweeps (Goodnight 1979, A tutorial on the SWEEP
// operator). Returns false if a is not positive definite; its values are then undefined.
inline bool invert_positive_definite(Panel<double> a) {  // (n, n)
  const Index n = a.rows();
  Vector<double> swept(n);
  for (Index k = 0; k < n; ++k) {
    const double pivot = a(k, k);
    if (!(pivot > 0.0) || !std::isfinite(pivot)) return false;
    // a_ij -= a_ik a_kj / a_kk;   a_ik = a_ik / a_kk;   a_kk = -1 / a_kk
    for (Index i = 0; i < n; ++i) swept[i] = i < k ? a(k, i) : a(i, k);
    for (Index i = 0; i < n; ++i) {
      const double factor = swept[i] / pivot;
      double* const row = &a(i, 0);
      for (Index j = 0; j <= i; ++j) row[j] -= factor * swept[j];
    }
    for (Index i = 0; i < n; ++i) (i < k ? a(k, i) : a(i, k)) = swept[i] / pivot;
    a(k, k) = -1.0 / pivot;
  }
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j <= i; ++j) a(i, j) = a(j, i) = -a(i, j);
  }
  return true;
}

}  // namespace trpo_fast
