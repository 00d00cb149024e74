// SurrogateObjective: L(theta') = mean_n ratio_n A_n, ratio_n = pi(a_n | s_n; theta') / pi(a_n | s_n; theta)
// (Schulman et al. 2015, Eq. 14), with the KL divergence that bounds it. One of the two places where a network meets a
// distribution.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>

#include "../distributions/distribution.hpp"
#include "../network/evaluator.hpp"
#include "../network/linearization.hpp"

namespace trpo_fast {

struct SurrogateValue {
  double surrogate;  // L(theta')
  double mean_kl;    // mean_n KL(pi_theta(. | s_n) || pi_theta'(. | s_n))
  double max_kl;     // the largest of them
  double entropy;    // mean_n entropy of pi_theta'(. | s_n)
};

// A log-ratio is clamped here before exp() unless the advantage is negative: the clamped surrogate is a lower bound of
// the true one, so that an improvement of it is one. Where it is negative an overflow is -Inf, and is rejected.
constexpr double kMaxLogRatio = 20.0;

template <class Scalar>
class SurrogateObjective {
 public:
  SurrogateObjective(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                     ConstVectorView<Scalar> theta,      // (P,)
                     ConstMatrixView<Scalar> x,          // (N, input_size), normalised observations
                     ConstMatrixView<Scalar> actions,    // (N, A)
                     ConstVectorView<double> advantages  // (N,)
                     )
      : distribution_(distribution), at_(network, theta, x), actions_(actions), advantages_(advantages) {
    const Index row = distribution.first_invalid_action(panel(actions));
    if (row >= 0) {
      throw std::invalid_argument("actions: expected an action of the action space, got row " + std::to_string(row) +
                                  " outside it");
    }
  }

  Index num_params() const { return at_.network().num_params(); }
  Index num_rows() const { return at_.num_rows(); }

  // out = grad L at theta' = theta: the mean of advantage times score
  void gradient(double* out) const {  // (P,)
    VectorView<double> gradient(out, num_params());
    gradient.setZero();
    typename Linearization<Scalar>::Workspace workspace(at_.network());
    RowMatrix<Scalar> phi_bar(kBlockRows, at_.output().cols());
    Vector<Scalar> theta_bar(num_params());
    const Vector<double> weight = advantages_ / double(num_rows());
    for_each_block(num_rows(), [&](Rows rows) {
      MatrixView<Scalar> phi_bar_block = block(phi_bar, {0, rows.size()});
      distribution_.log_prob_vjp(panel(block(at_.output(), rows)), panel(block(actions_, rows)),
                                 {weight.data() + rows.begin, rows.size()}, panel(phi_bar_block));
      theta_bar.setZero();
      at_.vjp(rows, phi_bar_block, theta_bar.data(), workspace);
      gradient += theta_bar.template cast<double>();
    });
  }

  // Everything the line search asks of theta', in one pass. Non-finite values are passed on, not repaired.
  SurrogateValue evaluate(const Scalar* theta_new) const {  // (P,)
    Evaluator<Scalar> evaluator(at_.network());
    evaluator.set_theta(theta_new);
    RowMatrix<double> terms(3, kBlockRows);  // log-ratio, KL and entropy of a block's rows
    SurrogateValue sum{0.0, 0.0, 0.0, 0.0};
    for_each_block(num_rows(), [&](Rows rows) {
      const ConstPanel<Scalar> p = panel(block(at_.output(), rows));
      const ConstPanel<Scalar> q = panel(evaluator.forward(block(at_.inputs(), rows)));
      terms.setZero();
      VectorView<double> log_ratio(terms.row(0).data(), rows.size());
      VectorView<double> kl(terms.row(1).data(), rows.size());
      VectorView<double> entropy(terms.row(2).data(), rows.size());
      distribution_.compare(p, q, panel(block(actions_, rows)), log_ratio, kl, entropy);
      for (Index i = 0; i < rows.size(); ++i) {
        const double advantage = advantages_[rows.begin + i];
        const bool clamped = !(advantage < 0.0) && log_ratio[i] > kMaxLogRatio;
        sum.surrogate += std::exp(clamped ? kMaxLogRatio : log_ratio[i]) * advantage;
        sum.mean_kl += kl[i];
        if (kl[i] > sum.max_kl || std::isnan(kl[i])) sum.max_kl = kl[i];
        sum.entropy += entropy[i];
      }
    });
    const double n = double(num_rows());
    return {sum.surrogate / n, sum.mean_kl / n, sum.max_kl, sum.entropy / n};
  }

 private:
  const Distribution<Scalar>& distribution_;
  Linearization<Scalar> at_;
  RowMatrix<Scalar> actions_;
  Vector<double> advantages_;
};

}  // namespace trpo_fast
