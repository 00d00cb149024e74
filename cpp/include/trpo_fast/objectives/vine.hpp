// VineObjective: l_n = sum_k w_nk Q_nk / sum_k w_nk over K actions tried in state s_n, with importance weights
// w_nk = pi(a_nk | s_n; theta') / q(a_nk | s_n) of their proposal q (Schulman et al. 2015, Eq. 16). If q is uniform and
// every action was tried once, this is sum_a pi(a | s_n; theta') Q(s_n, a) (Eq. 15).
//
// A constant added to all Q of a state changes the value l_n, but not its gradient: no baseline is needed.
#pragma once

#include "objective.hpp"

namespace trpo_fast {

enum class Proposal { policy, uniform };  // q: the policy at theta, or the same for every action

template <class Scalar>
class VineObjective final : public PolicyObjective<Scalar> {
 public:
  VineObjective(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                ConstVectorView<Scalar> theta,     // (P,)
                const Inputs<Scalar>& inputs,      // N rows of normalised observations
                ConstMatrixView<Scalar> actions,   // (N, K A), the K actions of a state in a row
                ConstMatrixView<double> q_values,  // (N, K)
                Proposal proposal, double ent_coef, int n_threads)
      : PolicyObjective<Scalar>(network, distribution, theta, inputs, ent_coef, n_threads),
        actions_(actions),
        q_values_(q_values),
        proposal_(proposal) {
    const RowMatrix<Scalar> one_by_one =
        ConstMatrixView<Scalar>(actions.data(), actions.rows() * num_actions(), distribution.action_size());
    check_actions(distribution, view(one_by_one));
  }

 private:
  using typename PolicyObjective<Scalar>::Sums;
  using Weights = RowMatrix<double>;  // (B, K)

  Index num_actions() const { return q_values_.cols(); }  // K

  // d l_n / d phi_n = sum_k (w_nk / sum_j w_nj) (Q_nk - l_n) d log pi(a_nk) / d phi_n
  void rows_vjp(Rows rows, ConstPanel<Scalar> phi, Panel<Scalar> phi_bar) const override {
    const Weights share = shares(rows, phi, phi);
    PaddedMatrix<Scalar> score(rows.size(), phi.cols());
    Vector<double> weight(rows.size());
    phi_bar.setZero();
    for (Index k = 0; k < num_actions(); ++k) {
      for (Index i = 0; i < rows.size(); ++i) {
        const auto q = q_values_.row(rows.begin + i);
        weight[i] = share(i, k) * (q[k] - share.row(i).dot(q)) / double(this->num_counted());
      }
      this->distribution().log_prob_vjp(phi, action_rows(rows, k), {weight.data(), weight.size()},
                                        score.panel(0, rows.size()));
      phi_bar += score.panel(0, rows.size());
    }
  }

  void add_rows(Rows rows, ConstPanel<Scalar> p, ConstPanel<Scalar> q, Sums& sum) const override {
    const Weights share = shares(rows, p, q);
    double terms[2][kBlockRows] = {};
    VectorView<double> kl(terms[0], rows.size());
    VectorView<double> entropy(terms[1], rows.size());
    this->distribution().kl_divergence(p, q, kl);
    this->distribution().entropy(q, entropy);
    for (Index i = 0; i < rows.size(); ++i) {
      sum += {share.row(i).dot(q_values_.row(rows.begin + i)), kl[i], kl[i], entropy[i]};
    }
  }

  // w_nk / sum_j w_nj for parameters p at theta and q at theta'
  Weights shares(Rows rows, ConstPanel<Scalar> p, ConstPanel<Scalar> q) const {
    Weights w(rows.size(), num_actions());
    Vector<double> log_w(rows.size());
    for (Index k = 0; k < num_actions(); ++k) {
      log_w.setZero();
      const VectorView<double> out(log_w.data(), log_w.size());
      if (proposal_ == Proposal::policy) {
        this->distribution().log_ratio(p, q, action_rows(rows, k), out);
      } else {
        this->distribution().log_prob(q, action_rows(rows, k), out);
      }
      w.col(k) = log_w;
    }
    for (Index i = 0; i < w.rows(); ++i) {
      w.row(i) = (w.row(i).array() - w.row(i).maxCoeff()).exp();  // a NaN is passed on
      w.row(i) /= w.row(i).sum();
    }
    return w;
  }

  ConstPanel<Scalar> action_rows(Rows rows, Index k) const {
    const Index size = this->distribution().action_size();
    return columns(panel(block(view(actions_), rows)), k * size, size);
  }

  RowMatrix<Scalar> actions_;
  RowMatrix<double> q_values_;
  Proposal proposal_;
};

}  // namespace trpo_fast
