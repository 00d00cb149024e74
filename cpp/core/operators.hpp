// Operators on vectors in the space of theta. Network and distribution must outlive the two Fisher operators.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "distributions.hpp"
#include "network.hpp"
#include "objectives.hpp"
#include "trpo_fast/solvers/linear_operator.hpp"

namespace trpo_fast::core {

class KernelOperator : public LinearOperator {
 public:
  Index size() const final { return kernel_->size(); }
  void multiply(const double* v, double* out) final { kernel_->multiply(v, out); }

 protected:
  explicit KernelOperator(std::unique_ptr<LinearOperator> kernel) : kernel_(std::move(kernel)) {}
  const LinearOperator& kernel() const { return *kernel_; }

 private:
  std::unique_ptr<LinearOperator> kernel_;
};

template <class Scalar>
class FisherOperator final : public KernelOperator {
 public:
  FisherOperator(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                 const Scalar* theta,      // (P,)
                 const Inputs<Scalar>& x,  // N rows
                 double damping, int n_threads);
  FisherOperator(const PolicyObjective<Scalar>& objective, double damping, int n_threads);
};

template <class Scalar>
class EmpiricalFisherOperator final : public KernelOperator {
 public:
  EmpiricalFisherOperator(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                          const Scalar* theta,           // (P,)
                          const Inputs<Scalar>& x,       // N rows
                          Matrix<const Scalar> actions,  // (N, A)
                          double damping, int n_threads);
};

template <class Scalar>
class KFACPreconditioner final : public KernelOperator {
 public:
  KFACPreconditioner(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                     const Scalar* theta,           // (P,)
                     const Inputs<Scalar>& x,       // N rows
                     Matrix<const Scalar> actions,  // (N, A)
                     double damping, int n_threads);

  std::vector<Index> identity_layers() const;
};

}  // namespace trpo_fast::core
