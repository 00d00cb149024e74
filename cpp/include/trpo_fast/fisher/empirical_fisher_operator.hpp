// EmpiricalFisherOperator: mean_n J_n^T s_n s_n^T J_n v + damping v, where s_n is the score d log pi(a_n | phi_n) / d
// phi_n of the action that was taken. The Fisher matrix is its mean over actions. One of the places where a network
// meets a distribution.
#pragma once

#include <memory>
#include <utility>

#include "../distributions/distribution.hpp"
#include "gauss_newton_operator.hpp"

namespace trpo_fast {

template <class Scalar>
class EmpiricalFisherOperator final : public GaussNewtonOperator<Scalar> {
 public:
  EmpiricalFisherOperator(const Distribution<Scalar>& distribution,
                          std::shared_ptr<const Linearization<Scalar>> at,  // as for FisherOperator
                          ConstMatrixView<Scalar> actions,                  // (N, A), one for each row
                          double damping, int n_threads)
      : GaussNewtonOperator<Scalar>(std::move(at), damping, n_threads) {
    check_actions(distribution, actions);
    const Vector<double> ones = Vector<double>::Ones(kBlockRows);
    this->fill_metric([&](Rows rows, ConstPanel<Scalar> phi, Panel<Scalar> score) {
      distribution.log_prob_vjp(phi, panel(block(actions, rows)), {ones.data(), rows.size()}, score);
    });
  }

 private:
  // out[n] = score_n (score_n . dphi_n)
  void multiply_metric(ConstPanel<Scalar> score, ConstPanel<Scalar> dphi, Panel<Scalar> out) const override {
    for (Index n = 0; n < score.rows(); ++n) {
      double product = 0.0;
      for (Index k = 0; k < score.cols(); ++k) product += double(score(n, k)) * double(dphi(n, k));
      for (Index k = 0; k < score.cols(); ++k) out(n, k) = score(n, k) * static_cast<Scalar>(product);
    }
  }
};

}  // namespace trpo_fast
