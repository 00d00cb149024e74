// FisherOperator: F v = mean_n J_n^T M(phi_n) J_n v + damping v with the distribution's metric M: the Fisher
// information matrix, which is the Hessian of the mean KL divergence at theta. One of the places where a network meets
// a distribution.
#pragma once

#include <memory>
#include <utility>

#include "../distributions/distribution.hpp"
#include "gauss_newton_operator.hpp"

namespace trpo_fast {

template <class Scalar>
class FisherOperator final : public GaussNewtonOperator<Scalar> {
 public:
  FisherOperator(const Distribution<Scalar>& distribution,
                 std::shared_ptr<const Linearization<Scalar>> at,  // the network at theta and normalised inputs
                 double damping, int n_threads)
      : GaussNewtonOperator<Scalar>(std::move(at), damping, n_threads), distribution_(distribution) {
    this->fill_metric(
        [&](Rows /*rows*/, ConstPanel<Scalar> phi, Panel<Scalar> metric) { distribution.fisher_metric(phi, metric); });
  }

 private:
  void multiply_metric(ConstPanel<Scalar> metric, ConstPanel<Scalar> dphi, Panel<Scalar> out) const override {
    distribution_.multiply_fisher(metric, dphi, out);
  }

  const Distribution<Scalar>& distribution_;
};

}  // namespace trpo_fast
