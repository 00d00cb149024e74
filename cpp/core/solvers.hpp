// Conjugate gradient and the fit of the critic.
#pragma once

#include <memory>

#include "network.hpp"
#include "trpo_fast/solvers/cg_status.hpp"
#include "trpo_fast/solvers/linear_operator.hpp"

namespace trpo_fast::core {

double dot(Vector<const double> x, Vector<const double> y);
double norm(Vector<const double> x);

struct CGResult {
  Index n_iter;
  double residual_norm;
  double quadratic_form;
  CGStatus status;
};

// preconditioner may be null
CGResult conjugate_gradient(LinearOperator& a, Vector<const double> b, Index max_iter, double rtol,
                            LinearOperator* preconditioner, double progress_rtol,
                            double* x);  // (P,), the solution

// A fit of the critic, and the task that executes it, here or on another thread. The network must outlive it.
template <class Scalar>
class ValueFit {
 public:
  ValueFit(const Network<Scalar>& network,
           const Inputs<Scalar>& x,           // N rows
           const Scalar* targets,             // (N,)
           Matrix<const std::int64_t> order,  // (n_epochs, N)
           Index batch_size, double learning_rate,
           const Scalar* theta,          // (P,)
           const Scalar* first_moment,   // (P,)
           const Scalar* second_moment,  // (P,)
           std::int64_t n_steps);

  Index num_params() const { return num_params_; }  // P

  void start();
  void finish();  // polls the interrupt hook

  // After finish()
  void read(Vector<Scalar> theta, Vector<Scalar> first_moment, Vector<Scalar> second_moment) const;  // (P,) each
  double loss() const;
  std::int64_t n_steps() const;
  bool finite() const;

 private:
  struct Task;
  Index num_params_;
  std::shared_ptr<Task> task_;
};

}  // namespace trpo_fast::core
