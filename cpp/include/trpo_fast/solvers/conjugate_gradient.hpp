// Preconditioned conjugate gradient for A x = b (Saad, Iterative Methods for Sparse Linear Systems, 2003, Alg. 9.1),
// from x = 0, everything in double. A solver returns a status, never an exception.
#pragma once

#include <cmath>

#include "cg_status.hpp"
#include "linear_operator.hpp"
#include "vector_math.hpp"

namespace trpo_fast {

struct CGResult {
  Vector<double> x;       // (P,)
  Index n_iter;           // products with A
  double residual_norm;   // ||b - A x||, from the recurrence
  double quadratic_form;  // x^T A x, from the recurrence, without another product
  CGStatus status;
};

// preconditioner: z = M^-1 r, or null.
//
// progress_rtol: the step x / sqrt(x^T A x) of a trust region predicts the improvement b^T(step) = sqrt(b^T x), which
// grows with every product. Stop once a product adds less than this fraction of it; 0: never.
inline CGResult conjugate_gradient(LinearOperator& a, ConstVectorView<double> b, Index max_iter, double rtol,
                                   LinearOperator* preconditioner = nullptr, double progress_rtol = 0.0) {
  CGResult result{Vector<double>::Zero(b.size()), 0, 0.0, 0.0, CGStatus::max_iter};
  // A's products may be float32: solve for b / ||b||, so that the scale of b does not matter.
  Vector<double> rhs = b;
  const double scale = norm(rhs);
  if (!std::isfinite(scale) || scale == 0.0) {
    result.status = scale == 0.0 ? CGStatus::zero_rhs : CGStatus::non_finite;
    result.residual_norm = scale;
    return result;
  }

  rhs /= scale;
  Vector<double>& x = result.x;
  Vector<double> r = rhs;
  Vector<double> z = r;
  Vector<double> ap(b.size());
  if (preconditioner != nullptr) preconditioner->multiply(r.data(), z.data());
  Vector<double> p = z;  // 1
  double rz = dot(r, z);
  double residual_norm = std::sqrt(dot(r, r));
  double bx = 0.0;  // b^T x = sum of alpha r^T z
  if (!std::isfinite(rz)) result.status = CGStatus::non_finite;
  if (rz <= 0.0) result.status = CGStatus::negative_curvature;
  while (result.status == CGStatus::max_iter && result.n_iter < max_iter) {
    a.multiply(p.data(), ap.data());
    ++result.n_iter;
    const double pap = dot(p, ap);
    const double alpha = rz / pap;  // 3
    if (!std::isfinite(pap) || !std::isfinite(alpha)) result.status = CGStatus::non_finite;
    if (pap <= 0.0) result.status = CGStatus::negative_curvature;
    if (result.status != CGStatus::max_iter) break;
    x += alpha * p;   // 4
    r -= alpha * ap;  // 5
    residual_norm = std::sqrt(dot(r, r));
    const double bx_next = bx + alpha * rz;
    if (std::sqrt(bx_next) - std::sqrt(bx) < progress_rtol * std::sqrt(bx_next)) {
      result.status = CGStatus::slow_progress;
    }
    if (residual_norm <= rtol) result.status = CGStatus::converged;
    bx = bx_next;
    if (preconditioner != nullptr) {
      preconditioner->multiply(r.data(), z.data());
    } else {
      z = r;
    }
    const double rz_next = dot(r, z);
    p = z + (rz_next / rz) * p;  // 6, 7
    rz = rz_next;
  }

  ap = rhs - r;
  result.quadratic_form = dot(x, ap) * scale * scale;  // x^T A x = x^T (b - r)
  x *= scale;
  result.residual_norm = residual_norm * scale;
  return result;
}

}  // namespace trpo_fast
