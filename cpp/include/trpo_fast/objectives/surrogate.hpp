// SurrogateObjective: l_n = ratio_n A_n, ratio_n = pi(a_n | s_n; theta') / pi(a_n | s_n; theta): single-path sampling
// (Schulman et al. 2015, Eq. 14).
#pragma once

#include "objective.hpp"

namespace trpo_fast {

// Log-ratios are clamped to this before exp() where the advantage is not negative: the clamped surrogate is a lower
// bound of the true one, so an improvement of it is an improvement. Where the advantage is negative an overflow gives
// -Inf, which the line search rejects.
constexpr double kMaxLogRatio = 20.0;

template <class Scalar>
class SurrogateObjective final : public PolicyObjective<Scalar> {
 public:
  SurrogateObjective(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                     ConstVectorView<Scalar> theta,       // (P,)
                     const Inputs<Scalar>& inputs,        // N rows of normalised observations
                     ConstMatrixView<Scalar> actions,     // (N, A)
                     ConstVectorView<double> advantages,  // (N,)
                     double ent_coef, int n_threads)
      : PolicyObjective<Scalar>(network, distribution, theta, inputs, ent_coef, n_threads),
        actions_(actions),
        advantages_(advantages),
        weights_(advantages_ / double(this->num_counted())) {
    check_actions(distribution, actions);
  }

 private:
  using typename PolicyObjective<Scalar>::Sums;

  // the score times the advantage
  void rows_vjp(Rows rows, ConstPanel<Scalar> phi, Panel<Scalar> phi_bar) const override {
    this->distribution().log_prob_vjp(phi, action_rows(rows), {weights_.data() + rows.begin, rows.size()}, phi_bar);
  }

  void add_rows(Rows rows, ConstPanel<Scalar> p, ConstPanel<Scalar> q, Sums& sum) const override {
    double terms[3][kBlockRows] = {};
    VectorView<double> log_ratio(terms[0], rows.size());
    VectorView<double> kl(terms[1], rows.size());
    VectorView<double> entropy(terms[2], rows.size());
    this->distribution().compare(p, q, action_rows(rows), log_ratio, kl, entropy);
    for (Index i = 0; i < rows.size(); ++i) {
      const double advantage = advantages_[rows.begin + i];
      const bool clamped = !(advantage < 0.0) && log_ratio[i] > kMaxLogRatio;
      sum += {std::exp(clamped ? kMaxLogRatio : log_ratio[i]) * advantage, kl[i], kl[i], entropy[i]};
    }
  }

  ConstPanel<Scalar> action_rows(Rows rows) const { return panel(block(view(actions_), rows)); }

  RowMatrix<Scalar> actions_;
  Vector<double> advantages_;
  Vector<double> weights_;
};

}  // namespace trpo_fast
