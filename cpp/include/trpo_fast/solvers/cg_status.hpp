// How a solution by conjugate gradient ended.
#pragma once

namespace trpo_fast {

enum class CGStatus {
  converged,           // the residual is below rtol * ||b||
  slow_progress,       // the predicted improvement grew by less than progress_rtol: the usual end with it
  max_iter,            // max_iter products were computed: the usual end without progress_rtol
  zero_rhs,            // b = 0, so x = 0
  negative_curvature,  // p^T A p <= 0: A is not positive definite; x is the last good iterate
  non_finite,          // a NaN or Inf appeared; x is the last finite iterate
};

}  // namespace trpo_fast
